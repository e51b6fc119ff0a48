//! Buckets: finishes, or undoes, creations and deletions that whoever began them left unfinished.

use std::time::Duration;

use async_trait::async_trait;
use objects::Objects;

use crate::duty::{Duty, DutyError, Step};

/// How often unfinished buckets are looked for.
const PERIOD: Duration = Duration::from_secs(30);

/// The duty.
pub struct UnfinishedBuckets(Objects);

impl UnfinishedBuckets {
    /// Over S3's operations.
    pub fn new(objects: Objects) -> Self {
        Self(objects)
    }
}

#[async_trait]
impl Duty for UnfinishedBuckets {
    fn name(&self) -> &'static str {
        "buckets"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let settled = self.0.finish_unfinished_buckets().await.map_err(|error| DutyError::Other(error.to_string()))?;
        Ok(if settled > 0 { Step::Again } else { Step::Idle(PERIOD) })
    }
}
