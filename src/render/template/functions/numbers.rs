//! Numbers.

use gotmpl::Value;

use super::super::error::Fault;
use super::super::value::text;
use super::decimals;
use super::{Args, Function, Group, list, made, number, row};

/// The group.
pub const GROUP: Group = Group {
    title: "Numbers",
    note: "Texts that are numbers count as numbers. What is none, does not fit into 64 bits, or is divided by zero is an error, and never 0 or something else.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("int", "X"),
        "X as a whole number; a fraction is cut off.",
        (r#"{{ int "42" }}"#, "42"),
        |a| number(a.int(0)?),
    ),
    row(("int64", "X"), "The same.", ("{{ int64 4.7 }}", "4"), |a| {
        number(a.int(0)?)
    }),
    row(
        ("float64", "X"),
        "X as a number with a fraction.",
        (r#"{{ float64 "1.5" }}"#, "1.5"),
        |a| float_of(a, a.float(0)?),
    ),
    row(
        ("atoi", "TEXT"),
        "TEXT as a whole number.",
        (r#"{{ atoi "42" }}"#, "42"),
        |a| {
            let whole = a.text(0)?.parse();
            number(whole.map_err(|_| a.refuse("the argument is no whole number of 64 bits"))?)
        },
    ),
    row(
        ("toDecimal", "TEXT"),
        "TEXT, which is an octal number such as a file mode, as a decimal one.",
        (r#"{{ toDecimal "0777" }}"#, "511"),
        |a| {
            let octal = i64::from_str_radix(&a.as_text(0), 8);
            number(octal.map_err(|_| a.refuse("the argument is not an octal number"))?)
        },
    ),
    row(
        ("add", "X…"),
        "The sum of whole numbers.",
        ("{{ add 1 2 3 }}", "6"),
        |a| fold(a, 0, i64::checked_add),
    ),
    row(("add1", "X"), "X and one.", ("{{ add1 1 }}", "2"), |a| {
        checked(a, a.int(0)?.checked_add(1))
    }),
    row(("sub", "X Y"), "X less Y.", ("{{ sub 5 2 }}", "3"), |a| {
        checked(a, a.int(0)?.checked_sub(a.int(1)?))
    }),
    row(
        ("mul", "X Y…"),
        "The product of whole numbers.",
        ("{{ mul 2 3 4 }}", "24"),
        |a| fold(a, 1, i64::checked_mul),
    ),
    row(
        ("div", "X Y"),
        "How often Y goes into X.",
        ("{{ div 7 2 }}", "3"),
        |a| checked(a, a.int(0)?.checked_div(a.int(1)?)),
    ),
    row(
        ("mod", "X Y"),
        "What remains of it.",
        ("{{ mod 7 2 }}", "1"),
        |a| checked(a, a.int(0)?.checked_rem(a.int(1)?)),
    ),
    row(
        ("max", "X Y…"),
        "The greatest of whole numbers.",
        ("{{ max 1 3 2 }}", "3"),
        |a| fold(a, i64::MIN, |x, y| Some(x.max(y))),
    )
    .also(&["biggest"]),
    row(
        ("min", "X Y…"),
        "The least of whole numbers.",
        ("{{ min 1 3 2 }}", "1"),
        |a| fold(a, i64::MAX, |x, y| Some(x.min(y))),
    ),
    row(
        ("addf", "X…"),
        "The sum of numbers.",
        ("{{ addf 1.5 2 }}", "3.5"),
        |a| fold_float(a, decimals::add),
    ),
    row(
        ("add1f", "X"),
        "X and one.",
        ("{{ add1f 1.5 }}", "2.5"),
        |a| float_of(a, decimals::add(a.float(0)?, 1.0)),
    ),
    row(
        ("subf", "X…"),
        "The first number less the others.",
        ("{{ subf 7.5 2 }}", "5.5"),
        |a| fold_float(a, decimals::sub),
    ),
    row(
        ("mulf", "X…"),
        "The product of numbers.",
        ("{{ mulf 1.5 2 }}", "3"),
        |a| fold_float(a, decimals::mul),
    ),
    row(
        ("divf", "X…"),
        "The first number divided by the others.",
        ("{{ divf 3 2 }}", "1.5"),
        |a| fold_float(a, decimals::div),
    ),
    row(
        ("maxf", "X Y…"),
        "The greatest of numbers.",
        ("{{ maxf 1 2.5 }}", "2.5"),
        |a| fold_float(a, f64::max),
    ),
    row(
        ("minf", "X Y…"),
        "The least of numbers.",
        ("{{ minf 1.5 2 }}", "1.5"),
        |a| fold_float(a, f64::min),
    ),
    row(
        ("floor", "X"),
        "X without its fraction, downwards.",
        ("{{ floor 1.9 }}", "1"),
        |a| float_of(a, a.float(0)?.floor()),
    ),
    row(
        ("ceil", "X"),
        "X without its fraction, upwards.",
        ("{{ ceil 1.1 }}", "2"),
        |a| float_of(a, a.float(0)?.ceil()),
    ),
    row(
        ("round", "X PLACES [HALF]"),
        "X rounded to so many places; from HALF on, else 0.5, upwards.",
        ("{{ round 1.2345 2 }}", "1.23"),
        round,
    ),
    row(
        ("until", "END"),
        "The whole numbers from 0 up to END, which is not among them.",
        (r#"{{ until 3 | join "," }}"#, "0,1,2"),
        |a| {
            let end = a.int(0)?;
            steps(a, 0, end, if end < 0 { -1 } else { 1 })
        },
    ),
    row(
        ("untilStep", "START END STEP"),
        "The same from START, and in steps.",
        (r#"{{ untilStep 3 9 3 | join "," }}"#, "3,6"),
        |a| steps(a, a.int(0)?, a.int(1)?, a.int(2)?),
    ),
    row(
        ("seq", "[START] [STEP] END"),
        "The whole numbers from START, else 1, to END, as a text.",
        ("{{ seq 3 }}", "1 2 3"),
        seq,
    ),
];

/// A value as a whole number.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        Value::Bool(yes) => Some(i64::from(*yes)),
        Value::Float(number) => cut(*number),
        Value::String(digits) => match digits.parse() {
            Ok(number) => Some(number),
            Err(_) => cut(float(value)?),
        },
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Function(_) => None,
    }
}

/// A number without its fraction, if it is one of 64 bits.
fn cut(number: f64) -> Option<i64> {
    format!("{:.0}", number.trunc()).parse().ok()
}

/// A value as a number.
pub fn float(value: &Value) -> Option<f64> {
    let number: f64 = match value {
        Value::Float(number) => *number,
        Value::Int(_) | Value::Uint(_) | Value::String(_) => text(value).parse().ok()?,
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Function(_) => return None,
    };
    number.is_finite().then_some(number)
}

fn checked(a: &Args<'_>, result: Option<i64>) -> Result<Value, Fault> {
    number(result.ok_or_else(|| a.refuse("the result is no whole number of 64 bits"))?)
}

fn float_of(a: &Args<'_>, result: f64) -> Result<Value, Fault> {
    if result.is_finite() {
        // There is no zero with a sign.
        Ok(Value::Float(result + 0.0))
    } else {
        Err(a.refuse("the result is no finite number"))
    }
}

fn fold(a: &Args<'_>, start: i64, with: fn(i64, i64) -> Option<i64>) -> Result<Value, Fault> {
    let mut result = Some(start);
    for index in 0..a.all().len() {
        let next = a.int(index)?;
        result = result.and_then(|result| with(result, next));
    }
    checked(a, result)
}

fn fold_float(a: &Args<'_>, with: fn(f64, f64) -> f64) -> Result<Value, Fault> {
    let mut result = a.float(0)?;
    for index in 1..a.all().len() {
        result = with(result, a.float(index)?);
    }
    float_of(a, result)
}

/// As sprig rounds: half of the last place upwards.
fn round(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (value, places) = (a.float(0)?, a.size(1)?);
    let half = if a.has(2) { a.float(2)? } else { 0.5 };
    let places = i32::try_from(places.min(300)).unwrap_or(300);
    let power = 10_f64.powi(places);
    let digits = value * power;
    let up = (digits.abs() - digits.abs().floor()) >= half;
    let rounded = if up == (value < 0.0) {
        digits.floor()
    } else {
        digits.ceil()
    };
    float_of(a, rounded / power)
}

/// The most numbers of a list that is made by counting.
const COUNTED: usize = 10_000;

fn counted(a: &Args<'_>, start: i64, end: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let mut numbers = Vec::new();
    let mut next = Some(start);
    while let Some(one) = next.filter(|one| (step > 0 && *one < end) || (step < 0 && *one > end)) {
        if numbers.len() == COUNTED {
            return Err(a.refuse("there are more than 10000 numbers"));
        }
        numbers.push(one);
        next = one.checked_add(step);
    }
    Ok(numbers)
}

fn steps(a: &Args<'_>, start: i64, end: i64, step: i64) -> Result<Value, Fault> {
    list(counted(a, start, end, step)?.into_iter().map(Value::Int))
}

fn seq(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (start, step, end) = match a.all().len() {
        1 => (1, None, a.int(0)?),
        2 => (a.int(0)?, None, a.int(1)?),
        _ => (a.int(0)?, Some(a.int(1)?), a.int(2)?),
    };
    let step = step.unwrap_or(if end < start { -1 } else { 1 });
    // The end is one of them.
    let beyond = end.saturating_add(step.signum());
    let numbers = counted(a, start, beyond, step)?;
    made(
        numbers
            .iter()
            .map(i64::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// The whole number that a number is, if it is one.
pub fn exact(value: f64) -> Option<i64> {
    let exact = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    exact.then(|| cut(value)).flatten()
}
