//! Numbers of any size in integers, rounded down: products of thousands of factors that neither
//! overflow nor vanish, the same bits on every machine.

/// mantissa · 2^exponent, the mantissa in [2⁶³, 2⁶⁴); zero has mantissa 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaledFloat {
    mantissa: u64,
    exponent: i64,
}

impl ScaledFloat {
    /// 1.
    pub const ONE: Self = Self { mantissa: 1 << 63, exponent: -63 };

    /// `x` less a part in 2⁴⁰, which covers the rounding of the division that made it.
    ///
    /// # Panics
    /// If `x` is negative or not finite.
    pub fn below(x: f64) -> Self {
        assert!(x.is_finite() && x >= 0.0, "{x} is no factor");
        let x = x * (1.0 - 2.0_f64.powi(-40));
        if x < f64::MIN_POSITIVE {
            return Self { mantissa: 0, exponent: 0 };
        }
        let bits = x.to_bits();
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        Self { mantissa: mantissa << 11, exponent: (bits >> 52) as i64 - 1075 - 11 }
    }

    /// Rounded down.
    pub fn times(self, other: Self) -> Self {
        let product = u128::from(self.mantissa) * u128::from(other.mantissa);
        if product == 0 {
            return Self { mantissa: 0, exponent: 0 };
        }
        let shift = 64 - product.leading_zeros();
        let mantissa = (product >> shift) as u64;
        Self { mantissa, exponent: self.exponent + other.exponent + i64::from(shift) }
    }

    /// By squaring, rounded down at every step. O(log n).
    pub fn power(self, mut n: u64) -> Self {
        let (mut base, mut power) = (self, Self::ONE);
        while n > 0 {
            if n & 1 == 1 {
                power = power.times(base);
            }
            base = base.times(base);
            n >>= 1;
        }
        power
    }

    /// r · self, rounded down, at most `most`.
    pub fn scale(self, r: u64, most: u64) -> u64 {
        let product = u128::from(r) * u128::from(self.mantissa);
        if product == 0 {
            return 0;
        }
        match self.exponent {
            up @ 0.. => {
                let room = i64::from(product.leading_zeros());
                if up >= room { most } else { u64::try_from(product << up).unwrap_or(most) }
            }
            down if down > -128 => u64::try_from(product >> -down).unwrap_or(most),
            _ => 0,
        }
        .min(most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: u64 = 1 << 60;

    proptest! {
        #[test]
        fn a_product_is_that_of_the_numbers_and_no_more(x in 1e-6_f64..1e6, y in 1e-6_f64..1e6, r in 1..ONE) {
            let most = u64::MAX;
            let got = ScaledFloat::below(x).times(ScaledFloat::below(y)).scale(r, most);
            let exact = x * y * r as f64;
            if exact < 1e18 {
                prop_assert!(got as f64 <= exact && got as f64 >= exact * (1.0 - 1e-9) - 2.0, "{got} {exact}");
            }
        }

        #[test]
        fn a_power_is_that_of_the_number_and_no_more(x in 0.2_f64..4.0, n in 0_u64..40) {
            let got = ScaledFloat::below(x).power(n).scale(1 << 20, u64::MAX) as f64;
            let exact = x.powi(n as i32) * f64::from(1 << 20);
            if exact < 1e18 {
                prop_assert!(got <= exact * (1.0 + 1e-12) && got >= exact * (1.0 - 1e-9) - 2.0, "{got} {exact}");
            }
        }

        #[test]
        fn huge_and_tiny_factors_meet_in_the_middle(n in 1_u64..100_000) {
            let product = ScaledFloat::below(8.0).power(n).times(ScaledFloat::below(0.125).power(n));
            let left = product.scale(ONE, u64::MAX);
            prop_assert!(left <= ONE && left as f64 > ONE as f64 * (1.0 - n as f64 * 1e-11), "{left}");
        }

        #[test]
        fn no_power_of_anything_panics(bits: u64, n: u64, r: u64) {
            let x = f64::from_bits(bits).abs();
            if x.is_finite() {
                ScaledFloat::below(x).power(n % (1 << 40)).scale(r, ONE);
            }
        }
    }

    #[test]
    fn what_is_beyond_all_bounds_saturates_and_what_is_below_vanishes() {
        assert_eq!(ScaledFloat::below(2.0).power(1 << 30).scale(1, 77), 77);
        assert_eq!(ScaledFloat::below(0.5).power(1 << 30).scale(u64::MAX, 77), 0);
        assert_eq!(ScaledFloat::below(0.0).scale(5, 77), 0);
        assert_eq!(ScaledFloat::ONE.scale(5, 77), 5);
    }
}
