//! What one template may use up. Whoever writes templates writes programs, and a program can run for ever or fill the memory of the operator that
//! everybody else depends on. All bounds count work and none looks at a clock, so a template that is too much is so everywhere and each time.

use gotmpl::Value;
use zeroize::Zeroizing;

use super::super::MAX_SECRET_BYTES;
use super::error::Fault;
use super::value::weight;

/// How many actions, turns of a loop and calls there may be.
const STEPS: usize = 100_000;

/// How many bytes all functions of one template together may go through.
pub const WORK: usize = 16 * 1024 * 1024;

/// How many bytes all templates of an object together may go through: there may be hundreds of them, and others wait for their turn meanwhile.
pub const TOGETHER: usize = 4 * WORK;

/// What one expression counts, and each field that it names, in bytes gone through. `and` and `or` have as many as stand in the text, and a loop has them again in each turn.
const EXPRESSION: usize = 16;

/// What it counts to walk past one variable on the way to another.
const VARIABLE: usize = 8;

/// How large the value of one function may be: what goes into a Secret, with some room for lists of small values.
const VALUE: usize = 2 * MAX_SECRET_BYTES;

/// How deep branches, loops and templates may lie in each other: each level takes stack.
const DEPTH: usize = 64;

/// What is left.
pub struct Budget {
    steps: usize,
    depth: usize,
    /// What the templates before this one have left of what all may go through.
    room: usize,
    /// What was gone through.
    spent: usize,
}

impl Budget {
    /// `room`: what is left for all templates of the object.
    pub fn new(room: usize) -> Self {
        Self {
            steps: STEPS,
            depth: DEPTH,
            room,
            spent: 0,
        }
    }

    /// What is left for the templates that follow.
    pub fn room(&self) -> usize {
        self.room.saturating_sub(self.spent)
    }

    /// One step.
    pub fn step(&mut self) -> Result<(), Fault> {
        let what = "the template takes more than 100000 steps; shorten its loops";
        self.steps = self.steps.checked_sub(1).ok_or(Fault::Bound { what })?;
        Ok(())
    }

    /// Going through so many bytes.
    pub fn work(&mut self, bytes: usize) -> Result<(), Fault> {
        self.spent = self.spent.saturating_add(bytes);
        let what = if self.spent > WORK {
            "the template goes through more than 16 MiB; do less with large values, or shorten its loops"
        } else if self.spent > self.room {
            "this template and those before it go through more than 64 MiB together; do less with large values, shorten loops, or divide them between several objects"
        } else {
            return Ok(());
        };
        Err(Fault::Bound { what })
    }

    /// An expression that names so many fields.
    pub fn expression(&mut self, fields: usize) -> Result<(), Fault> {
        self.work(fields.saturating_add(1).saturating_mul(EXPRESSION))
    }

    /// Walking past so many variables.
    pub fn variables(&mut self, passed: usize) -> Result<(), Fault> {
        self.work(passed.saturating_mul(VARIABLE))
    }

    /// Going through a value.
    pub fn value(&mut self, value: &Value) -> Result<(), Fault> {
        let what = "a value becomes larger than 2 MiB, or lies more than 200 levels deep";
        let weight = weight(value, VALUE).ok_or(Fault::Bound { what })?;
        self.work(weight)
    }

    /// A branch, a loop, or a template within a template.
    pub fn enter(&mut self) -> Result<(), Fault> {
        let what = "branches, loops and templates lie more than 64 levels deep in each other";
        self.depth = self.depth.checked_sub(1).ok_or(Fault::Bound { what })?;
        Ok(())
    }

    /// The end of it.
    pub fn leave(&mut self) {
        self.depth += 1;
    }
}

/// Refuses what will be too long before it is made.
pub fn fits(bytes: usize) -> Result<(), Fault> {
    let what = "a value becomes larger than 1 MiB";
    if bytes <= MAX_SECRET_BYTES {
        Ok(())
    } else {
        Err(Fault::Bound { what })
    }
}

/// What the template has written, wiped when it goes.
#[derive(Default)]
pub struct Output(pub Zeroizing<Vec<u8>>);

impl Output {
    /// Writes some more.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let what = "the template writes more than 1048576 bytes, which is more than a Secret holds";
        if self.0.len() + bytes.len() > MAX_SECRET_BYTES {
            return Err(Fault::Bound { what });
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
