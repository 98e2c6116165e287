// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sixteen sums at once with what the processor has, for the one pattern that
//! compilers do not turn into its instruction (`pmaddwd`): i32 sums of pairs
//! of i16 products. Everything else relies on the compiler's vectorisation.

use pulp::{Arch, Scalar};

/// Sums that are computed together.
pub(crate) const LANES: usize = 16;

/// Two numbers that are multiplied with two others, and the products added.
pub(crate) type Pair = [i16; 2];

/// Arithmetic on [`LANES`] sums.
pub(crate) trait Lanes: Copy {
    /// [`LANES`] sums, in registers.
    type Sums: Copy;

    /// Zeros.
    fn zeros(self) -> Self::Sums;

    /// Adds a·b + a'·b' to each sum, wrapping.
    fn add_products(self, sums: Self::Sums, a: &[Pair; LANES], b: &[Pair; LANES]) -> Self::Sums;

    /// The same with one `a` for all sums.
    fn add_multiples(self, sums: Self::Sums, a: Pair, b: &[Pair; LANES]) -> Self::Sums;

    /// The sums.
    fn values(self, sums: Self::Sums) -> [i32; LANES];
}

/// A function that is compiled for each kind of lanes.
pub(crate) trait WithLanes {
    /// Must be `#[inline(always)]`, or it is not compiled for the processor.
    fn run<L: Lanes>(self, lanes: L);
}

/// Runs a function with the best lanes that the processor has.
pub(crate) fn dispatch(function: impl WithLanes) {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(lanes) => lanes.vectorize(Call { function, lanes }),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(lanes) => lanes.vectorize(Call { function, lanes }),
        _ => function.run(Scalar),
    }
}

impl Lanes for Scalar {
    type Sums = [i32; LANES];

    #[inline(always)]
    fn zeros(self) -> Self::Sums {
        [0; LANES]
    }

    #[inline(always)]
    fn add_products(self, sums: Self::Sums, a: &[Pair; LANES], b: &[Pair; LANES]) -> Self::Sums {
        let product = |a: i16, b: i16| i32::from(a) * i32::from(b);
        std::array::from_fn(|lane| {
            let ([a, other_a], [b, other_b]) = (a[lane], b[lane]);
            sums[lane]
                .wrapping_add(product(a, b))
                .wrapping_add(product(other_a, other_b))
        })
    }

    #[inline(always)]
    fn add_multiples(self, sums: Self::Sums, a: Pair, b: &[Pair; LANES]) -> Self::Sums {
        self.add_products(sums, &[a; LANES], b)
    }

    #[inline(always)]
    fn values(self, sums: Self::Sums) -> [i32; LANES] {
        sums
    }
}

#[cfg(target_arch = "x86_64")]
use x86::Call;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256i, __m512i};

    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, cast};

    use super::{LANES, Lanes, Pair, WithLanes};

    /// A call that is inlined into the code for its lanes.
    pub(super) struct Call<F, L> {
        pub function: F,
        pub lanes: L,
    }

    impl<F: WithLanes, L: Lanes> NullaryFnOnce for Call<F, L> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.function.run(self.lanes);
        }
    }

    impl Lanes for V4 {
        type Sums = __m512i;

        #[inline(always)]
        fn zeros(self) -> __m512i {
            self.avx512f._mm512_setzero_si512()
        }

        #[inline(always)]
        fn add_products(self, sums: __m512i, a: &[Pair; LANES], b: &[Pair; LANES]) -> __m512i {
            let products = self.avx512bw._mm512_madd_epi16(cast(*a), cast(*b));
            self.avx512f._mm512_add_epi32(sums, products)
        }

        #[inline(always)]
        fn add_multiples(self, sums: __m512i, a: Pair, b: &[Pair; LANES]) -> __m512i {
            let a = self.avx512f._mm512_set1_epi32(cast(a));
            let products = self.avx512bw._mm512_madd_epi16(a, cast(*b));
            self.avx512f._mm512_add_epi32(sums, products)
        }

        #[inline(always)]
        fn values(self, sums: __m512i) -> [i32; LANES] {
            cast(sums)
        }
    }

    impl Lanes for V3 {
        type Sums = [__m256i; 2];

        #[inline(always)]
        fn zeros(self) -> [__m256i; 2] {
            [self.avx._mm256_setzero_si256(); 2]
        }

        #[inline(always)]
        fn add_products(
            self,
            sums: [__m256i; 2],
            a: &[Pair; LANES],
            b: &[Pair; LANES],
        ) -> [__m256i; 2] {
            let (a, b): ([__m256i; 2], [__m256i; 2]) = (cast(*a), cast(*b));
            std::array::from_fn(|half| {
                let products = self.avx2._mm256_madd_epi16(a[half], b[half]);
                self.avx2._mm256_add_epi32(sums[half], products)
            })
        }

        #[inline(always)]
        fn add_multiples(self, sums: [__m256i; 2], a: Pair, b: &[Pair; LANES]) -> [__m256i; 2] {
            let (a, b): (_, [__m256i; 2]) = (self.avx._mm256_set1_epi32(cast(a)), cast(*b));
            std::array::from_fn(|half| {
                let products = self.avx2._mm256_madd_epi16(a, b[half]);
                self.avx2._mm256_add_epi32(sums[half], products)
            })
        }

        #[inline(always)]
        fn values(self, sums: [__m256i; 2]) -> [i32; LANES] {
            cast(sums)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds products of extreme numbers and compares with the definition.
    struct Extremes;

    impl WithLanes for Extremes {
        fn run<L: Lanes>(self, lanes: L) {
            let a = std::array::from_fn(|lane| [i16::MIN + lane as i16, 255]);
            let b = std::array::from_fn(|lane| [i16::MIN, lane as i16 - 8]);
            let mut sums = lanes.zeros();
            for _ in 0..3 {
                sums = lanes.add_products(sums, &a, &b);
            }
            let expected = std::array::from_fn(|lane| {
                let [a, b] = [a[lane], b[lane]].map(|pair| pair.map(i64::from));
                (3 * (a[0] * b[0] + a[1] * b[1])) as i32
            });
            assert_eq!(lanes.values(sums), expected);
            let same = lanes.add_products(sums, &[a[3]; LANES], &b);
            let multiples = lanes.add_multiples(sums, a[3], &b);
            assert_eq!(lanes.values(multiples), lanes.values(same));
        }
    }

    #[test]
    fn every_kind_of_lanes_computes_the_same() {
        Extremes.run(Scalar);
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = pulp::x86::V3::try_new() {
            Extremes.run(lanes);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = pulp::x86::V4::try_new() {
            Extremes.run(lanes);
        }
        dispatch(Extremes);
    }
}
