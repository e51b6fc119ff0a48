//! HeadObject.

use crate::{GetObjectRequest, Objects, ObjectsError, SelectedObject};

impl Objects {
    /// What GetObject would answer, without bytes: one question to the index.
    ///
    /// # Errors
    /// As [`Objects::get_object`], without those of stored bytes.
    pub async fn head_object(&self, request: GetObjectRequest) -> Result<SelectedObject, ObjectsError> {
        todo!()
    }
}
