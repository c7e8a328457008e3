//! Text from a file that may be damaged.

use sqlx::{
    Decode, Sqlite, Type,
    error::BoxDynError,
    sqlite::{SqliteTypeInfo, SqliteValueRef},
};

/// A TEXT column. SQLite does not check that text is UTF-8, and its `quick_check` does not either: one flipped bit would
/// make a message impossible to read, and hold up all that wait behind it. What is no UTF-8 becomes U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

impl Type<Sqlite> for Text {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <str as Type<Sqlite>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Sqlite> for Text {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let bytes = <&[u8] as Decode<'r, Sqlite>>::decode(value)?;
        Ok(Self(String::from_utf8_lossy(bytes).into_owned()))
    }
}
