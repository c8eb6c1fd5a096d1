//! What lies sealed in the database, counted by the key that sealed it; nothing is opened for it.

use super::{Store, StoreError, read};

/// Sealed values of one column under one key.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SealedGroup {
    /// `table.column`.
    pub place: String,
    /// The key's id, as [`crate::seal`] writes it in front of what it seals.
    pub key_id: Vec<u8>,
    /// How many.
    pub n: i64,
}

impl Store {
    /// Counts sealed values by column and key. Reads the whole tables.
    ///
    /// # Errors
    /// What the database said.
    pub async fn sealed_values(&self) -> Result<Vec<SealedGroup>, StoreError> {
        // The key's id stands behind one byte of layout version.
        const SQL: &str = "
            select 'comment.email_sealed' as place, substr(email_sealed, 2, 4) as key_id, count(*) as n
            from comment where email_sealed is not null group by 2
            union all
            select 'comment.network_sealed', substr(network_sealed, 2, 4), count(*)
            from comment where network_sealed is not null group by 2
            union all
            select 'verdict.facts_sealed', substr(facts_sealed, 2, 4), count(*)
            from verdict where facts_sealed is not null group by 2
            order by 1, 2";
        Ok(read!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await?))
    }
}
