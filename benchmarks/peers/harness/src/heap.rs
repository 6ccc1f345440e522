//! The allocator of the measured programs: mimalloc, counted while somebody asks.
//!
//! With the system's allocator every larger proof begins with page faults, and small ones take a fifth longer. What it
//! holds from the system says little about what a proof needs, so live bytes are counted instead.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

use mimalloc::MiMalloc;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ASKED: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

fn count(change: isize) {
    if ASKED.load(Relaxed) {
        let live = LIVE.fetch_add(change, Relaxed) + change;
        PEAK.fetch_max(live, Relaxed);
    }
}

// SAFETY: everything is passed on to an allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        MiMalloc.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        MiMalloc.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        MiMalloc.dealloc(pointer, layout);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both exist while the one is copied into the other.
        count(size as isize);
        count(-(layout.size() as isize));
        MiMalloc.realloc(pointer, layout, size)
    }
}

/// What `work` gives, and the most bytes that lived at once on account of it.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LIVE.store(0, Relaxed);
    PEAK.store(0, Relaxed);
    ASKED.store(true, Relaxed);
    let result = work();
    ASKED.store(false, Relaxed);
    (result, PEAK.load(Relaxed).max(0) as usize)
}
