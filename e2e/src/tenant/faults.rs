//! Faults of the operator's own that a tenant orders for its objects, and for nobody else's.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::Tenant;
use crate::operator::Operator;
use crate::wait::{SOON, until};

impl Tenant {
    /// Orders faults of the ground's operator, such as `kill after Commit`: see `src/fault.rs` of the operator. The first pass over an object of this
    /// tenant that comes there meets it.
    pub fn order(&self, faults: &[&str]) -> Result<()> {
        self.order_of(self.operator()?, faults)
    }

    /// The same of another operator.
    pub fn order_of(&self, operator: &Operator, faults: &[&str]) -> Result<()> {
        for fault in faults {
            let file = operator
                .faults()
                .join(format!("{fault} in {}", self.name()));
            fs::write(&file, "").with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }

    /// Waits until everything that was ordered of the ground's operator has happened.
    pub async fn obeyed(&self) -> Result<()> {
        self.obeyed_by(self.operator()?).await
    }

    /// The same of another operator.
    pub async fn obeyed_by(&self, operator: &Operator) -> Result<()> {
        let (folder, of_this) = (operator.faults(), format!(" in {}", self.name()));
        until("the ordered faults to happen", SOON, async || {
            let mut left = Vec::new();
            for file in fs::read_dir(&folder)? {
                let name = file?.file_name().to_string_lossy().into_owned();
                left.extend(name.ends_with(&of_this).then_some(name));
            }
            ensure!(left.is_empty(), "left is {left:?}");
            Ok(Some(()))
        })
        .await
    }
}
