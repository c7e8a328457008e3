//! The engine takes no memory for a reading: what it needs it has taken when learning is over. Only what it says (a
//! report, a summary) is made anew.

#[path = "../benches/load/mod.rs"]
mod load;

use load::Load;

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

#[test]
fn a_step_that_says_nothing_allocates_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut load = Load::learnt();
    let learnt = dhat::HeapStats::get().total_blocks;
    assert!(learnt > 0, "allocations are counted");
    let (mut said, mut blocks_for_words) = (0, 0);
    for second in 0..1_000 {
        let before = dhat::HeapStats::get().total_blocks;
        let outputs = load.step().len();
        let taken = dhat::HeapStats::get().total_blocks - before;
        if outputs == 0 {
            assert_eq!(taken, 0, "second {second}");
        } else {
            said += outputs;
            blocks_for_words += taken;
        }
    }
    println!("{} readings, {said} outputs with {blocks_for_words} blocks", 1_000 * Load::READINGS);
}
