//! Where should inline bytes lie? Measures the CPU of a 4 KiB PutObject's rows, checkpoints included, for the layouts
//! that docs/decisions/0005-inline-bytes.md compares.
//!
//! `cargo run --release -p index --example inline_bytes -- LAYOUT PAGE_BYTES BATCH WAL_MIB ROWS DIRECTORY [CACHE_MIB [INLINE_BYTES]]`
//! with LAYOUT one of:
//! - `whole`: one row has everything, inline bytes last;
//! - `beside`: the row without the inline bytes, which lie in a table of their own, appended by number;
//! - `split`: a small row for listings; the rest and the inline bytes in a second table, appended by number;
//! - `outside`: as `split`, but inline bytes are appended to a file that is synced before each checkpoint;
//! - `nothing`: as `split`, no inline bytes at all (what the rest costs).
//!
//! One thread does all, so the on-CPU time of this thread, by /proc/self/schedstat, is all that user code and system
//! calls take; the kernel's write-back threads are not in it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a measurement of real files"
)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, params};

struct Layout {
    name: String,
    inline_bytes: usize,
    segment: Option<File>,
    segment_end: u64,
    waiting: Vec<u8>,
    wal_bytes: usize,
    unsynced: usize,
    next_body: i64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let name = arguments[0].clone();
    let (page_bytes, batch, wal_mib, rows) = (number(1, 4096), number(2, 64), number(3, 32), number(4, 200_000));
    let directory = Path::new(&arguments[5]).join(format!("inline-{}", std::process::id()));
    let (cache_mib, inline_bytes) = (number(6, 64), number(7, 4096));
    std::fs::create_dir_all(&directory).unwrap();
    let connection = open(&directory, page_bytes, cache_mib, wal_mib);
    let segment = (name == "outside")
        .then(|| OpenOptions::new().create(true).truncate(true).write(true).open(directory.join("inline")).unwrap());
    let mut layout = Layout {
        name,
        inline_bytes,
        segment,
        segment_end: 0,
        waiting: Vec::new(),
        wal_bytes: wal_mib << 20,
        unsynced: 0,
        next_body: 0,
    };
    create(&connection, &layout);

    let mut keys = Random(1);
    put(&connection, &mut layout, &mut keys, rows, 256);
    checkpoint(&connection, &layout);
    let (cpu, clock) = (cpu_us(), Instant::now());
    let measured = rows / 2;
    put(&connection, &mut layout, &mut keys, measured, batch);
    let per_put = (cpu_us() - cpu) / measured as f64;
    let wall = clock.elapsed().as_secs_f64();
    checkpoint(&connection, &layout);
    let size: u64 = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let list = measure_list(&connection, rows / 1000);
    let get = measure_get(&connection, &layout, rows, 20_000);
    println!(
        "{:8} page {page_bytes:5} batch {batch:3} wal {wal_mib:2} MiB rows {rows} cache {cache_mib} MiB: {per_put:5.1} us CPU/put, \
         {:6.0} puts/s, {:.0} B/row, list of 1000 {list:4.0} us, get {get:4.1} us",
        layout.name,
        measured as f64 / wall,
        size as f64 / (rows + measured) as f64,
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

fn open(directory: &Path, page_bytes: usize, cache_mib: usize, wal_mib: usize) -> Connection {
    let connection = Connection::open(directory.join("index.sqlite")).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page_bytes}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA wal_autocheckpoint = {}; PRAGMA cache_size = -{};",
            wal_mib * 1024 * 1024 / page_bytes,
            cache_mib * 1024
        ))
        .unwrap();
    connection
}

fn create(connection: &Connection, layout: &Layout) {
    let tables = match layout.name.as_str() {
        "whole" => "CREATE TABLE current (place BLOB PRIMARY KEY, head BLOB, body BLOB, inline BLOB) WITHOUT ROWID;",
        "beside" => {
            "CREATE TABLE current (place BLOB PRIMARY KEY, head BLOB, body BLOB, inline INTEGER) WITHOUT ROWID;
             CREATE TABLE bodies (id INTEGER PRIMARY KEY, inline BLOB);"
        }
        _ => {
            "CREATE TABLE current (place BLOB PRIMARY KEY, head BLOB, body INTEGER) WITHOUT ROWID;
             CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB, inline BLOB);"
        }
    };
    connection
        .execute_batch(&format!(
            "{tables}
             CREATE TABLE ranges (id INTEGER PRIMARY KEY, applied BLOB);
             CREATE TABLE answers (number INTEGER PRIMARY KEY, answer BLOB);"
        ))
        .unwrap();
}

/// Puts `count` rows in transactions of `batch`; SQLite checkpoints by itself when the WAL is full.
fn put(connection: &Connection, layout: &mut Layout, keys: &mut Random, count: usize, batch: usize) {
    let (head, body, inline) = ([0x5a; 95], [0xa5; 230], vec![0x77; layout.inline_bytes]);
    let (mut done, mut number) = (0, 0i64);
    while done < count {
        connection.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
        for _ in 0..batch.min(count - done) {
            let place = keys.place();
            let mut old = connection.prepare_cached("SELECT head FROM current WHERE place = ?1").unwrap();
            assert!(!old.exists(params![&place]).unwrap());
            put_rows(connection, layout, &place, &head, &body, &inline);
            number += 1;
            let mut answer = connection.prepare_cached("INSERT OR REPLACE INTO answers VALUES (?1, ?2)").unwrap();
            answer.execute(params![number, &head[..20]]).unwrap();
            done += 1;
        }
        let mut forget = connection.prepare_cached("DELETE FROM answers WHERE number < ?1").unwrap();
        forget.execute([number - 64]).unwrap();
        let mut applied = connection.prepare_cached("INSERT OR REPLACE INTO ranges VALUES (1, ?1)").unwrap();
        applied.execute([&head[..40]]).unwrap();
        if let Some(segment) = &layout.segment {
            segment.write_all_at(&layout.waiting, layout.segment_end).unwrap();
            layout.segment_end += layout.waiting.len() as u64;
            layout.waiting.clear();
            layout.unsynced += batch * layout.inline_bytes;
            if layout.unsynced >= layout.wal_bytes {
                segment.sync_data().unwrap();
                layout.unsynced = 0;
            }
        }
        connection.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
    }
}

fn put_rows(connection: &Connection, layout: &mut Layout, place: &[u8], head: &[u8], body: &[u8], inline: &[u8]) {
    let sql = |text| connection.prepare_cached(text).unwrap();
    layout.next_body += 1;
    match layout.name.as_str() {
        "whole" => {
            sql("INSERT INTO current VALUES (?1, ?2, ?3, ?4)").execute(params![place, head, body, inline]).unwrap();
        }
        "beside" => {
            sql("INSERT INTO current VALUES (?1, ?2, ?3, ?4)")
                .execute(params![place, head, body, layout.next_body])
                .unwrap();
            sql("INSERT INTO bodies VALUES (?1, ?2)").execute(params![layout.next_body, inline]).unwrap();
        }
        "split" | "outside" | "nothing" => {
            sql("INSERT INTO current VALUES (?1, ?2, ?3)").execute(params![place, head, layout.next_body]).unwrap();
            let kept = if layout.name == "split" { Some(inline) } else { None };
            sql("INSERT INTO bodies VALUES (?1, ?2, ?3)").execute(params![layout.next_body, body, kept]).unwrap();
        }
        other => panic!("no layout {other}"),
    }
    if layout.segment.is_some() {
        layout.waiting.extend_from_slice(inline);
    }
}

fn checkpoint(connection: &Connection, layout: &Layout) {
    if let Some(segment) = &layout.segment {
        segment.sync_data().unwrap();
    }
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
}

fn measure_list(connection: &Connection, pages: usize) -> f64 {
    let mut statement = connection
        .prepare_cached("SELECT place, head FROM current WHERE place > ?1 ORDER BY place LIMIT 1000")
        .unwrap();
    let mut keys = Random(7);
    let mut sum = 0;
    let cpu = cpu_us();
    for _ in 0..pages {
        let mut rows = statement.query(params![keys.place()]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            sum += row.get_ref(0).unwrap().as_blob().unwrap().len() + row.get_ref(1).unwrap().as_blob().unwrap().len();
        }
    }
    assert!(sum > 0);
    (cpu_us() - cpu) / pages as f64
}

fn measure_get(connection: &Connection, layout: &Layout, rows: usize, gets: usize) -> f64 {
    let sql = match layout.name.as_str() {
        "whole" => "SELECT head, body, inline FROM current WHERE place = ?1",
        "beside" => "SELECT head, body, bodies.inline FROM current JOIN bodies ON id = current.inline WHERE place = ?1",
        _ => "SELECT head, bodies.body, inline FROM current JOIN bodies ON id = current.body WHERE place = ?1",
    };
    let mut statement = connection.prepare_cached(sql).unwrap();
    let mut keys = Random(1);
    let places: Vec<Vec<u8>> = (0..rows).map(|_| keys.place()).step_by((rows / gets).max(1)).collect();
    let cpu = cpu_us();
    for place in &places {
        statement.query_row(params![place], |row| Ok(row.get_ref(1)?.as_blob().unwrap().len())).unwrap();
    }
    (cpu_us() - cpu) / places.len() as f64
}

/// Microseconds that this thread has run.
fn cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0
}

/// splitmix64: the same keys in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn place(&mut self) -> Vec<u8> {
        format!("\0\0\0\0\0\0\0\x01{:016x}/{:08x}\0\x01", self.next(), self.next() as u32).into_bytes()
    }
}
