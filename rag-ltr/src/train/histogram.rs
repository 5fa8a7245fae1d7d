//! Sums of derivatives, in whole numbers: they are the same in any order, and their difference is exact.

/// A sum of first derivatives (the upper 32 bits, signed) and of second derivatives (the lower 32 bits), each in its
/// unit. One addition adds both: the lower half never overflows, as no sum is larger than that of all rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum(u64);

/// What one unit of a [`Sum`] is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Units {
    pub(crate) gradient: f64,
    pub(crate) hessian: f64,
}

/// First and second derivative of the loss by the score of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Derivatives {
    pub(crate) gradient: f32,
    pub(crate) hessian: f32,
}

impl Sum {
    pub(crate) fn new(gradient: i32, hessian: u32) -> Sum {
        Sum((i64::from(gradient) << 32) as u64 | u64::from(hessian))
    }

    pub(crate) fn gradient(self) -> i32 {
        (self.0 >> 32) as i32
    }

    pub(crate) fn hessian(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) fn plus(self, other: Sum) -> Sum {
        Sum(self.0.wrapping_add(other.0))
    }

    #[inline]
    pub(crate) fn minus(self, other: Sum) -> Sum {
        Sum(self.0.wrapping_sub(other.0))
    }
}

impl Units {
    /// Units such that the sums of these rows fill 31 bits, rounding included; `None` where nothing is left to learn.
    pub(crate) fn of(derivatives: &[Derivatives], rows: &[u32]) -> Option<Units> {
        let (mut gradients, mut hessians) = (0.0, 0.0);
        for &row in rows {
            let Derivatives { gradient, hessian } = derivatives[row as usize];
            gradients += f64::from(gradient.abs());
            hessians += f64::from(hessian);
        }
        let most = f64::from(i32::MAX) - rows.len() as f64;
        let is_some = |sum: f64| sum > 0.0 && sum.is_finite();
        (is_some(gradients) && is_some(hessians))
            .then(|| Units { gradient: gradients / most, hessian: hessians / most })
    }

    /// The derivatives of a row in these units.
    pub(crate) fn pack(self, derivatives: Derivatives) -> Sum {
        let gradient = f64::from(derivatives.gradient) / self.gradient;
        let hessian = f64::from(derivatives.hessian) / self.hessian;
        Sum::new((gradient + 0.5).floor() as i32, (hessian + 0.5) as u32)
    }

    pub(crate) fn gradient(self, sum: Sum) -> f64 {
        f64::from(sum.gradient()) * self.gradient
    }

    pub(crate) fn hessian(self, sum: Sum) -> f64 {
        f64::from(sum.hessian()) * self.hessian
    }
}

/// Takes the sums of one child off those of the parent: what remains are those of the other child.
pub(crate) fn subtract(parent: &mut [Sum], child: &[Sum]) {
    for (parent, child) in parent.iter_mut().zip(child) {
        *parent = parent.minus(*child);
    }
}

/// Puts into the bin that the table leaves out what the other bins lack of the total.
pub(crate) fn complete(histogram: &mut [Sum], left_out: usize, total: Sum) {
    histogram[left_out] = Sum::default();
    let others = histogram.iter().fold(Sum::default(), |sum, &bin| sum.plus(bin));
    histogram[left_out] = total.minus(others);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_sums_are_those_of_their_halves(rows in proptest::collection::vec((-1e3f32..1e3, 0f32..1e3), 1..300)) {
            let derivatives: Vec<Derivatives> =
                rows.iter().map(|&(gradient, hessian)| Derivatives { gradient, hessian }).collect();
            let all: Vec<u32> = (0..rows.len() as u32).collect();
            let Some(units) = Units::of(&derivatives, &all) else { return Ok(()) };
            let (mut sum, mut gradients, mut hessians) = (Sum::default(), 0i64, 0i64);
            for &row in &derivatives {
                let packed = units.pack(row);
                sum = sum.plus(packed);
                gradients += i64::from(packed.gradient());
                hessians += i64::from(packed.hessian());
            }
            prop_assert_eq!((i64::from(sum.gradient()), i64::from(sum.hessian())), (gradients, hessians));
            let exact: f64 = derivatives.iter().map(|row| f64::from(row.gradient)).sum();
            prop_assert!((units.gradient(sum) - exact).abs() <= units.gradient * rows.len() as f64);
            prop_assert_eq!(sum.minus(units.pack(derivatives[0])).plus(units.pack(derivatives[0])), sum);
        }
    }

    #[test]
    fn the_bin_that_is_left_out_has_the_rest() {
        let mut histogram = [Sum::new(-5, 7), Sum::new(99, 99), Sum::new(3, 2)];
        complete(&mut histogram, 1, Sum::new(-20, 30));
        assert_eq!(histogram[1], Sum::new(-18, 21));
    }
}
