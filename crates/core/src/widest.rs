//! Running a loop in the widest instructions that the processor has.
//!
//! The compiler turns plain loops over arrays into vector instructions by itself, but only those of the oldest processor that
//! the binary is for. A [`Kernel`] is compiled twice, and the processor decides; both compute the same integers.

/// A loop worth compiling twice. `run` must be `#[inline(always)]`, and so must be what it calls in its inner loops.
pub(crate) trait Kernel {
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs `kernel`, on x86-64 with AVX2 and the bit instructions that came with it where the processor has it.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls a function of a checked target feature")
)]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1");
        if has && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("lzcnt") {
            // SAFETY: the processor has all of them.
            return unsafe { avx2(kernel) };
        }
    }
    kernel.run()
}
