//! HeadObject.

use crate::reads::check_read;
use crate::{GetObjectRequest, Objects, ObjectsError, SelectedObject};

impl Objects {
    /// What GetObject would answer, without bytes: one question to the index.
    ///
    /// # Errors
    /// As [`Objects::get_object`], without those of stored bytes.
    pub async fn head_object(&self, request: GetObjectRequest) -> Result<SelectedObject, ObjectsError> {
        let mut found = self.find_head(&request.bucket, &request.key, request.which).await?;
        let head = found.take_head();
        check_read(&request.conditions, &head)?;
        let (range, part) = self.select(&found, &head, request.selection).await?;
        Ok(SelectedObject { head, range, part })
    }
}
