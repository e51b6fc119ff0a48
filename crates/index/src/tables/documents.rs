//! A bucket's documents, in the system range.

use bytes::Bytes;
use rusqlite::params;
use types::{BucketId, CommitStamp};

use super::{Tables, blob, to_sql};
use crate::command::{BucketDocument, DocumentKind};
use crate::{IndexDatabaseError, rows};

/// The row that says when any of a bucket's documents was changed last: no kind has this number.
const CHANGED: u8 = 0;

impl Tables<'_> {
    /// All of a bucket's documents, in order of kind.
    pub(crate) fn documents(self, bucket: BucketId) -> Result<Vec<BucketDocument>, IndexDatabaseError> {
        let sql = "SELECT kind, row FROM documents WHERE bucket = ?1 AND kind > ?2 ORDER BY kind";
        self.all(sql, params![to_sql(bucket.0), CHANGED], |row| {
            let number: u8 = row.get(0)?;
            let damaged = |error: &dyn ToString| IndexDatabaseError::Damaged { reason: error.to_string() };
            let kind = DocumentKind::try_from(number).map_err(|error| damaged(&error))?;
            let document = Bytes::copy_from_slice(rows::versioned(blob(row, 1)?)?);
            Ok::<_, IndexDatabaseError>(BucketDocument { kind, document })
        })
    }

    /// When any of a bucket's documents was set or removed last; 0 where none ever was.
    pub(crate) fn documents_changed(self, bucket: BucketId) -> Result<CommitStamp, IndexDatabaseError> {
        let sql = "SELECT row FROM documents WHERE bucket = ?1 AND kind = ?2";
        let changed = self.first(sql, params![to_sql(bucket.0), CHANGED], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })?;
        Ok(changed.unwrap_or_default())
    }

    pub(crate) fn put_documents_changed(
        self,
        bucket: BucketId,
        changed: CommitStamp,
    ) -> Result<(), IndexDatabaseError> {
        self.put_document_row(bucket, CHANGED, &rows::encode(&changed))
    }

    /// A version byte, and the document as it is.
    pub(crate) fn put_document(
        self,
        bucket: BucketId,
        kind: DocumentKind,
        document: &[u8],
    ) -> Result<(), IndexDatabaseError> {
        self.put_document_row(bucket, kind.number(), &rows::verbatim(document))
    }

    fn put_document_row(self, bucket: BucketId, number: u8, row: &[u8]) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO documents (bucket, kind, row) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![to_sql(bucket.0), number, row])?;
        Ok(())
    }

    pub(crate) fn delete_document(self, bucket: BucketId, kind: DocumentKind) -> Result<(), IndexDatabaseError> {
        let sql = "DELETE FROM documents WHERE bucket = ?1 AND kind = ?2";
        self.execute(sql, params![to_sql(bucket.0), kind.number()])?;
        Ok(())
    }

    /// Removes all that there is of a bucket's documents.
    pub(crate) fn delete_documents(self, bucket: BucketId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM documents WHERE bucket = ?1", [to_sql(bucket.0)])?;
        Ok(())
    }
}
