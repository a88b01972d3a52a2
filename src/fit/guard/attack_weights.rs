//! How much each detector counts in the sum, from attacks of our own making.
//!
//! Logistic regression of attacked against clean and harmlessly disturbed rows with weights ≥ 0: no
//! detector can excuse a record, and one that only repeats another gets nothing. A detector of what
//! our attacks do not carry would get nothing either; it does not stand in the sum. What is learned
//! here is an order of rows; the budget is kept by calibration, on other rows.

/// Rows' surprises, `[n][k]`, and how much all of them together count.
pub struct Group {
    pub surprises: Vec<Vec<f32>>,
    pub attacked: bool,
    pub weight: f64,
}

/// Steps of descent: the problem is convex and small, and the fourth digit no longer moves.
const STEPS: usize = 2000;

/// Pulls weights that nobody needs to zero.
const RIDGE: f64 = 1e-3;

/// One weight ≥ 0 per detector. Attacked groups count as much as the others together. O(steps · n · k).
pub fn learn(groups: &[Group], k: usize) -> Vec<f32> {
    let total = |attacked| {
        let those = groups.iter().filter(move |group| group.attacked == attacked);
        those.map(|group| group.weight).sum::<f64>().max(f64::MIN_POSITIVE)
    };
    let totals = [total(false), total(true)];
    let mut rows: Vec<(&[f32], f64, f64)> = vec![];
    for group in groups {
        let each = group.weight
            / totals[usize::from(group.attacked)]
            / group.surprises.len().max(1) as f64
            / 2.0;
        let sign = if group.attacked { 1.0 } else { -1.0 };
        rows.extend(group.surprises.iter().map(|row| (row.as_slice(), sign, each)));
    }
    let (mut w, mut b) = (vec![0.2_f64; k], 0.0_f64);
    // Adam, held to the positive side.
    let (mut m, mut v) = (vec![0.0; k + 1], vec![0.0; k + 1]);
    for step in 1..=STEPS as i32 {
        let mut slope = vec![0.0; k + 1];
        for (row, sign, each) in &rows {
            let z = b + row.iter().zip(&w).map(|(&s, w)| f64::from(s) * w).sum::<f64>();
            let push = -sign * each / (1.0 + (sign * z).exp());
            slope.iter_mut().zip(*row).for_each(|(slope, &s)| *slope += push * f64::from(s));
            slope[k] += push;
        }
        slope.iter_mut().zip(&w).for_each(|(slope, w)| *slope += 2.0 * RIDGE * w);
        let rate = 0.03 * (1.0 - f64::from(step - 1) / STEPS as f64);
        for (i, slope) in slope.into_iter().enumerate() {
            m[i] = 0.9 * m[i] + 0.1 * slope;
            v[i] = 0.999 * v[i] + 0.001 * slope * slope;
            let (fast, slow) = (1.0 - 0.9_f64.powi(step), 1.0 - 0.999_f64.powi(step));
            let by = rate * (m[i] / fast) / ((v[i] / slow).sqrt() + 1e-12);
            match w.get_mut(i) {
                Some(w) => *w = (*w - by).max(0.0),
                None => b -= by,
            }
        }
    }
    // Three digits: no power hangs on the fourth, and a person reads them in the manifest.
    w.into_iter().map(|w| ((w * 1e3).round() / 1e3) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(attacked: bool, rows: &[[f32; 3]]) -> Group {
        Group { surprises: rows.iter().map(|row| row.to_vec()).collect(), attacked, weight: 1.0 }
    }

    #[test]
    fn what_tells_attacks_counts_and_what_does_not_or_tells_them_backwards_counts_nothing() {
        let clean =
            group(false, &[[0.5, 1.0, 2.0], [1.0, 0.5, 3.0], [1.5, 2.0, 2.5], [3.0, 1.0, 3.0]]);
        let attacks =
            group(true, &[[3.0, 1.0, 0.5], [4.0, 0.5, 1.0], [5.0, 2.0, 0.0], [2.0, 1.0, 1.0]]);
        let w = learn(&[clean, attacks], 3);
        assert!(w[0] > 0.5 && w[1] < 0.5 * w[0] && w[2] == 0.0, "{w:?}");
    }
}
