//! Sealed raw history as Parquet: the only place that knows polars. Plain synchronous functions over bytes; whoever calls
//! them does so on a blocking thread ([`blocking`]).
//!
//! A segment describes itself (tag names as text), so that it outlives the database it was sealed from. Rows are ordered
//! by tag, then time; the database keeps which rows belong to which tag, so that one tag is read without the others.

use std::{
    fs, io,
    io::Cursor,
    path::{Path, PathBuf},
};

use polars::prelude::{
    Column, DataFrame, NamedFrom, ParallelStrategy, ParquetCompression, ParquetReader,
    ParquetWriter, PolarsError, PolarsResult, SerReader, Series,
};
use serde::{Deserialize, Serialize};

use crate::{StoreError, files::crc32c};

const TAG: &str = "tag";
const AT: &str = "at_us";
const VALUE: &str = "value";
const QUALITY: &str = "quality";
/// Small enough that reading one tag does not decode the others.
const ROW_GROUP: usize = 1 << 15;

/// One reading as it is on disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RawRow {
    pub(crate) at_us: i64,
    pub(crate) name_id: i64,
    pub(crate) value: Option<f64>,
    pub(crate) quality: i64,
}

/// Which rows of a segment belong to which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagRows {
    pub(crate) name_id: i64,
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// Where the rows of each name lie; `rows` are ordered by name.
pub(crate) fn index(rows: &[RawRow]) -> Vec<TagRows> {
    let mut index: Vec<TagRows> = Vec::new();
    for (first, row) in (0_u64..).zip(rows) {
        match index.last_mut() {
            Some(last) if last.name_id == row.name_id => last.count += 1,
            _ => index.push(TagRows { name_id: row.name_id, first, count: 1 }),
        }
    }
    index
}

/// The rows as a Parquet file; `name` says what an id is called.
pub(crate) fn encode<'a>(rows: &[RawRow], name: impl Fn(i64) -> &'a str) -> PolarsResult<Vec<u8>> {
    let tags: Vec<&str> = rows.iter().map(|row| name(row.name_id)).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.at_us).collect();
    let values: Vec<Option<f64>> = rows.iter().map(|row| row.value).collect();
    let qualities: Vec<i64> = rows.iter().map(|row| row.quality).collect();
    let mut frame = DataFrame::new(
        rows.len(),
        vec![
            Column::from(Series::new(TAG.into(), tags)),
            Column::from(Series::new(AT.into(), times)),
            Column::from(Series::new(VALUE.into(), values)),
            Column::from(Series::new(QUALITY.into(), qualities)),
        ],
    )?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(ROW_GROUP))
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

/// The rows of one tag: time, value and quality.
pub(crate) fn decode(bytes: &[u8], rows: TagRows) -> PolarsResult<Vec<RawRow>> {
    let outside = |_| PolarsError::OutOfBounds("row numbers of another machine".into());
    let slice = (
        usize::try_from(rows.first).map_err(outside)?,
        usize::try_from(rows.count).map_err(outside)?,
    );
    let frame = read(bytes, &[AT, VALUE, QUALITY], Some(slice))?;
    rows_of(&frame, |_| rows.name_id)
}

/// All rows, with the names in order of their first appearance; `name_id` is an index into them.
pub(crate) fn decode_all(bytes: &[u8]) -> PolarsResult<(Vec<String>, Vec<RawRow>)> {
    let frame = read(bytes, &[TAG, AT, VALUE, QUALITY], None)?;
    let mut names: Vec<String> = Vec::new();
    let mut ids = Vec::with_capacity(frame.height());
    for tag in frame.column(TAG)?.str()?.iter() {
        let tag = tag.unwrap_or("?");
        if names.last().is_none_or(|last| last != tag) {
            names.push(tag.to_owned());
        }
        ids.push(i64::try_from(names.len()).unwrap_or(i64::MAX) - 1);
    }
    let rows = rows_of(&frame, |row| ids[row])?;
    Ok((names, rows))
}

fn read(bytes: &[u8], columns: &[&str], slice: Option<(usize, usize)>) -> PolarsResult<DataFrame> {
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    ParquetReader::new(Cursor::new(bytes))
        .with_columns(Some(columns))
        .with_slice(slice)
        .read_parallel(ParallelStrategy::None)
        .finish()
}

fn rows_of(frame: &DataFrame, name_id: impl Fn(usize) -> i64) -> PolarsResult<Vec<RawRow>> {
    let times = frame.column(AT)?.i64()?.iter();
    let values = frame.column(VALUE)?.f64()?.iter();
    let qualities = frame.column(QUALITY)?.i64()?.iter();
    let rows = times.zip(values).zip(qualities).enumerate().filter_map(
        |(row, ((at_us, value), quality))| {
            Some(RawRow { at_us: at_us?, name_id: name_id(row), value, quality: quality? })
        },
    );
    Ok(rows.collect())
}

/// What a segment file must be.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) path: PathBuf,
    pub(crate) length: i64,
    pub(crate) crc32c: i64,
}

/// The bytes of a segment; `None` if it is gone, which happens when retention has just deleted it.
pub(crate) fn load(expected: &Expected) -> Result<Option<Vec<u8>>, StoreError> {
    let bytes = match fs::read(&expected.path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(StoreError::from_io(&expected.path, "a segment was read", source));
        }
    };
    let is_intact = i64::try_from(bytes.len()) == Ok(expected.length)
        && i64::from(crc32c(&bytes)) == expected.crc32c;
    if is_intact { Ok(Some(bytes)) } else { Err(damaged(&expected.path, "it is damaged")) }
}

/// An error about one segment.
pub(crate) fn damaged(path: &Path, reason: impl ToString) -> StoreError {
    StoreError::Segment { path: path.to_owned(), reason: reason.to_string() }
}

/// Runs `work` on a thread that may block and waits for it. This is no task of its own: it has ended when this returns,
/// and if the caller is cancelled it ends by itself and leaves at most a file that the next start deletes.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Aborted { doing })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<RawRow> {
        let row = |name_id, at_us, value, quality| RawRow { at_us, name_id, value, quality };
        vec![
            row(7, 1, Some(0.1 + 0.2), 0),
            row(7, 2, None, 204),
            row(9, -5, Some(f64::MIN_POSITIVE), 111),
            row(9, i64::MAX, Some(-0.0), 0),
        ]
    }

    fn name(id: i64) -> &'static str {
        if id == 7 { "pump-1.flow" } else { "fan-2.température" }
    }

    #[test]
    fn a_segment_gives_back_each_tag_bit_for_bit() {
        let rows = rows();
        let bytes = encode(&rows, name).unwrap();
        let index = index(&rows);
        assert_eq!(
            index,
            [
                TagRows { name_id: 7, first: 0, count: 2 },
                TagRows { name_id: 9, first: 2, count: 2 }
            ]
        );
        assert_eq!(decode(&bytes, index[0]).unwrap(), rows[..2]);
        let second = decode(&bytes, index[1]).unwrap();
        assert_eq!(second, rows[2..]);
        assert!(second[1].value.unwrap().is_sign_negative());
    }

    #[test]
    fn a_segment_describes_itself() {
        let bytes = encode(&rows(), name).unwrap();
        let (names, rows) = decode_all(&bytes).unwrap();
        assert_eq!(names, ["pump-1.flow", "fan-2.température"]);
        assert_eq!(rows.iter().map(|row| row.name_id).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }

    #[test]
    fn rows_across_row_groups_are_found() {
        let row =
            |at_us: i64| RawRow { at_us, name_id: at_us / 50_000, value: Some(1.0), quality: 0 };
        let rows: Vec<_> = (0..150_000).map(row).collect();
        let bytes = encode(&rows, |id| ["a", "b", "c"][usize::try_from(id).unwrap()]).unwrap();
        let index = index(&rows);
        assert_eq!(decode(&bytes, index[1]).unwrap(), rows[50_000..100_000]);
        // A quarter of a byte a row for regular times and constant values, and the index finds its rows.
        assert!(bytes.len() < 150_000 * 4, "{}", bytes.len());
    }

    #[test]
    fn nonsense_is_an_error_not_a_panic() {
        assert!(decode_all(b"PAR1 nonsense PAR1").is_err());
        assert!(decode_all(b"").is_err());
    }
}
