//! Files among the segments that the database does not list. Normally a crash has left them, and their rows are where they
//! were, so they are deleted. But after the loss of `hist.db` they are all there is, so they are taken over instead, some in
//! each round of maintenance, and their rollups are made anew.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::PathBuf,
    sync::atomic::Ordering,
};

use tracing::warn;

use crate::{
    History, Maintained, StoreError,
    files::{crc32c, remove_if_there},
    rollups,
    sealing::{self, Segment},
    segments::{self, RawRow, blocking},
    text::Text,
};

/// Segments taken over in one round.
const ADOPT_ROUND: usize = 8;

pub(crate) const LISTED: &str = "SELECT file, bytes FROM segment";
pub(crate) const ADOPTING: &str = "
    SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'adopting' AND value = 1)";
pub(crate) const SET_ADOPTING: &str = "
    INSERT INTO meta (key, value) VALUES ('adopting', ?1)
    ON CONFLICT DO UPDATE SET value = excluded.value";

/// At opening: counts the bytes of the segments and deletes what a crash has left, or, beside a new database, marks the
/// segments of the lost one for being taken over.
pub(crate) async fn tidy(history: &History, is_new: bool) -> Result<(), StoreError> {
    let doing = "it was opened";
    let sql = history.database.sql(doing);
    let listed: Vec<(Text, i64)> =
        sqlx::query_as(LISTED).fetch_all(history.database.readers()).await.map_err(sql)?;
    let bytes = listed.iter().map(|(_, bytes)| bytes.max(&0).unsigned_abs()).sum();
    history.segment_bytes.store(bytes, Ordering::Relaxed);
    let listed: HashSet<String> = listed.into_iter().map(|(Text(file), _)| file).collect();
    let stray = stray_files(history, &listed)?;
    if is_new && !stray.is_empty() {
        return set_adopting(history, true).await;
    }
    if !is_adopting(history).await? {
        for path in stray {
            remove_if_there(&path).map_err(|source| StoreError::from_io(&path, doing, source))?;
        }
    }
    Ok(())
}

async fn is_adopting(history: &History) -> Result<bool, StoreError> {
    sqlx::query_scalar(ADOPTING)
        .fetch_one(history.database.readers())
        .await
        .map_err(history.database.sql("it was opened"))
}

async fn set_adopting(history: &History, is_adopting: bool) -> Result<(), StoreError> {
    let doing = "segments were taken over";
    let sql = history.database.sql(doing);
    let mut write = history.database.begin(doing).await?;
    sqlx::query(SET_ADOPTING).bind(is_adopting).execute(&mut *write).await.map_err(sql)?;
    write.commit().await
}

/// Files in the segment directory that the database does not list, newest name first.
fn stray_files(history: &History, listed: &HashSet<String>) -> Result<Vec<PathBuf>, StoreError> {
    let file_error =
        |source| StoreError::from_io(&history.segments, "segments were listed", source);
    let mut stray = Vec::new();
    for entry in fs::read_dir(&history.segments).map_err(file_error)? {
        let entry = entry.map_err(file_error)?;
        if entry.file_name().to_str().is_none_or(|name| !listed.contains(name)) {
            stray.push(entry.path());
        }
    }
    stray.sort();
    stray.reverse();
    Ok(stray)
}

/// Takes over some of the segments that a lost database had written, and makes their rollups.
pub(crate) async fn adopt(history: &History, done: &mut Maintained) -> Result<(), StoreError> {
    if !is_adopting(history).await? {
        return Ok(());
    }
    let doing = "segments were taken over";
    let sql = history.database.sql(doing);
    let listed: Vec<(Text, i64)> =
        sqlx::query_as(LISTED).fetch_all(history.database.readers()).await.map_err(sql)?;
    let listed = listed.into_iter().map(|(Text(file), _)| file).collect();
    let stray = stray_files(history, &listed)?;
    for path in stray.iter().take(ADOPT_ROUND) {
        let file = path.clone();
        match blocking(doing, move || read_whole(file)).await {
            Ok((segment, names, rows)) => {
                adopt_segment(history, segment, &names, rows).await?;
                done.adopted_segments += 1;
            }
            Err(error) => {
                warn!(%error, path = %path.display(), "a file among the segments is none and is deleted");
                remove_if_there(path).map_err(|source| StoreError::from_io(path, doing, source))?;
            }
        }
    }
    if stray.len() <= ADOPT_ROUND { set_adopting(history, false).await } else { Ok(()) }
}

type Whole = (Segment, Vec<String>, Vec<RawRow>);

fn read_whole(path: PathBuf) -> Result<Whole, StoreError> {
    let bytes = fs::read(&path)
        .map_err(|source| StoreError::from_io(&path, "segments were taken over", source))?;
    let (names, rows) =
        segments::decode_all(&bytes).map_err(|error| segments::damaged(&path, error))?;
    let (from_us, to_us) = sealing::extent(&rows);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let segment = Segment {
        file,
        from_us,
        to_us,
        count: rows.len(),
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        crc32c: crc32c(&bytes),
        tags: segments::index(&rows),
    };
    Ok((segment, names, rows))
}

async fn adopt_segment(
    history: &History,
    mut segment: Segment,
    names: &[String],
    mut rows: Vec<RawRow>,
) -> Result<(), StoreError> {
    let doing = "segments were taken over";
    let sql = history.database.sql(doing);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids = history.ids(&names).await?;
    // Until here a name's id was its position in the file.
    let ids: BTreeMap<i64, i64> = (0..).zip(ids).collect();
    for rows in &mut segment.tags {
        rows.name_id = ids[&rows.name_id];
    }
    for row in &mut rows {
        row.name_id = ids[&row.name_id];
    }
    let mut write = history.database.begin(doing).await?;
    rollups::add(&mut write, &rows).await.map_err(sql)?;
    sealing::list_segment(&mut write, &segment).await.map_err(sql)?;
    write.commit().await?;
    history.segment_bytes.fetch_add(segment.bytes, Ordering::Relaxed);
    Ok(())
}
