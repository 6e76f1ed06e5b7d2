//! Loops compiled twice: for every CPU of the target, and for those with AVX2.

/// Defines a function whose body is compiled for AVX2 as well, and chooses at run time.
///
/// The compiler vectorises the same code with wider registers. Both ways give the same bits as long as the body adds
/// in a fixed order (into lanes) and does not ask for fused multiply-adds.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $flag:ident: bool>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "AVX2 is used where the CPU has it"))]
        $vis fn $name $(<const $flag: bool>)? ($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body $(<const $flag: bool>)? ($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2 $(<const $flag: bool>)? ($($arg: $type),*) $(-> $result)? {
                    body $(::<$flag>)? ($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has AVX2.
                    return unsafe { avx2 $(::<$flag>)? ($($arg),*) };
                }
            }
            body $(::<$flag>)? ($($arg),*)
        }
    };
}
pub(super) use wide;

/// Independent sums, so that additions need not wait for each other; as many as the compiler keeps in registers,
/// with narrow and with wide ones.
pub(super) const LANES: usize = 16;

/// The sum of `lanes`, in `f64` because it is one of many that are added up.
pub(super) fn total(lanes: &[f32]) -> f64 {
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

wide! {
    /// The sum of `values`.
    pub(super) fn sum(values: &[f32]) -> f64 {
        let (blocks, rest) = values.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for block in blocks {
            for i in 0..LANES {
                lanes[i] += block[i];
            }
        }
        for (lane, value) in lanes.iter_mut().zip(rest) {
            *lane += value;
        }
        total(&lanes)
    }
}
