//! The time that this thread has worked: what a clock on the wall would say if nobody else used the machine.

/// Nanoseconds on a core, of user and system together.
pub fn nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this function.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    assert_eq!(status, 0, "no clock for a thread");
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
