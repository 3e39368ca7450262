//! Counting in decimal digits, as sprig does: 0.1 and 0.2 make 0.3. What has too many digits for that is counted as usual.

/// A number with its digits: `digits` times ten to the power of `power`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    power: i32,
}

/// After the point, a quotient has so many digits.
const PLACES: i32 = 16;

pub fn add(x: f64, y: f64) -> f64 {
    either(x, y, sum).unwrap_or(x + y)
}

pub fn sub(x: f64, y: f64) -> f64 {
    add(x, -y)
}

pub fn mul(x: f64, y: f64) -> f64 {
    let product = either(x, y, |x, y| {
        Some(Decimal {
            digits: x.digits.checked_mul(y.digits)?,
            power: x.power + y.power,
        })
    });
    product.unwrap_or(x * y)
}

pub fn div(x: f64, y: f64) -> f64 {
    either(x, y, quotient).unwrap_or(x / y)
}

fn either(x: f64, y: f64, count: fn(Decimal, Decimal) -> Option<Decimal>) -> Option<f64> {
    let Decimal { digits, power } = count(Decimal::of(x)?, Decimal::of(y)?)?;
    format!("{digits}e{power}").parse().ok()
}

fn sum(x: Decimal, y: Decimal) -> Option<Decimal> {
    let power = x.power.min(y.power);
    let digits = x.at(power)?.checked_add(y.at(power)?)?;
    Some(Decimal { digits, power })
}

fn quotient(x: Decimal, y: Decimal) -> Option<Decimal> {
    let x = x.at(y.power.checked_sub(PLACES)?)?;
    let (whole, rest) = (x.checked_div(y.digits)?, x.checked_rem(y.digits)?);
    let up = rest.checked_abs()?.checked_mul(2)? >= y.digits.checked_abs()?;
    let digits = if up {
        whole + x.signum() * y.digits.signum()
    } else {
        whole
    };
    Some(Decimal {
        digits,
        power: -PLACES,
    })
}

impl Decimal {
    fn of(number: f64) -> Option<Self> {
        let text = format!("{number:e}");
        let (digits, power) = text.split_once('e')?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        Some(Self {
            digits: format!("{whole}{fraction}").parse().ok()?,
            power: power.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?,
        })
    }

    /// The digits for a smaller power.
    fn at(self, power: i32) -> Option<i128> {
        let more = u32::try_from(self.power - power).ok()?;
        self.digits.checked_mul(10_i128.checked_pow(more)?)
    }
}
