//! The sum opens to the sum, however it was made.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngCore as _};

use super::super::cipher::{Ciphertexts, JointKey};
use super::super::group::{base, point, random, scalar};
use super::*;

/// A key, its secret, and the table of logarithms.
struct Keys {
    secret: Scalar,
    joint: JointKey,
    logarithms: Logarithms,
}

fn keys() -> Keys {
    let secret = random(&mut chance(1));
    Keys { secret, joint: JointKey::new(&base(&secret)), logarithms: Logarithms::new() }
}

impl Keys {
    fn encrypt(&self, counters: &[u32], chance: &mut ChaCha20Rng) -> Ciphertexts {
        Ciphertexts::from_bytes(&self.joint.encrypt(counters, chance).0).unwrap()
    }

    fn open(&self, sum: &Ciphertexts) -> Result<Vec<u32>, Rejection> {
        let pairs = sum.first.iter().zip(&sum.second);
        let points: Vec<RistrettoPoint> =
            pairs.map(|(first, second)| second - first * self.secret).collect();
        self.logarithms.of(&points)
    }
}

/// Most counters are small; 0, 2³² − 1 and what lies between are among them.
fn counter(chance: &mut ChaCha20Rng) -> u32 {
    match chance.random_range(0..2000) {
        0 => u32::MAX,
        1 => chance.next_u32(),
        2..500 => 0,
        500..1000 => chance.random_range(0..5_000_000),
        _ => chance.random_range(0..100),
    }
}

#[test]
fn of_10_000_pairs_of_vectors_enc_x_plus_enc_y_opens_to_x_plus_y() {
    let (keys, mut chance) = (keys(), chance(2));
    let (mut largest, mut beyond) = (0, 0);
    for pair in 0..10_000 {
        let n = chance.random_range(1..5);
        let mut draw = || (0..n).map(|_| counter(&mut chance)).collect::<Vec<_>>();
        let (mut x, mut y) = (draw(), draw());
        if pair == 0 {
            (x, y) = (vec![0, u32::MAX, 0, 1], vec![0, 0, u32::MAX, u32::MAX - 1]);
        }
        let mut sum = keys.encrypt(&x, &mut chance);
        sum.add(&keys.encrypt(&y, &mut chance));
        let expected: Option<Vec<u32>> = x.iter().zip(&y).map(|(x, y)| x.checked_add(*y)).collect();
        match expected {
            Some(expected) => {
                largest = largest.max(expected.iter().copied().max().unwrap());
                assert_eq!(keys.open(&sum).unwrap(), expected, "{x:?} + {y:?}");
            }
            None => {
                beyond += 1;
                assert!(matches!(keys.open(&sum), Err(Rejection::Unopenable { .. })));
            }
        }
    }
    assert_eq!(largest, u32::MAX);
    println!("{beyond} sums were beyond 32 bits, and refused");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_sum_of_2_to_50_sites_does_not_depend_on_order_or_grouping(sites in 2_usize..=50, seed: u64) {
        let (keys, mut chance) = (keys(), chance(seed));
        let vectors: Vec<[u32; 2]> =
            (0..sites).map(|_| [0; 2].map(|_| chance.random_range(0..100_000))).collect();
        let each: Vec<_> = vectors.iter().map(|v| keys.encrypt(v, &mut chance)).collect();
        let mut in_order = Ciphertexts::zero(2);
        each.iter().for_each(|more| in_order.add(more));
        // Two at a time, whichever come, until one is left.
        let mut left = each.clone();
        while left.len() > 1 {
            left.shuffle(&mut chance);
            let more = left.pop().unwrap();
            left.last_mut().unwrap().add(&more);
        }
        prop_assert_eq!(left[0].to_bytes(), in_order.to_bytes());
        let total = vectors.iter().fold([0; 2], |sum, v| [sum[0] + v[0], sum[1] + v[1]]);
        prop_assert_eq!(keys.open(&in_order).unwrap(), total);
    }
}

#[test]
fn equal_counters_are_other_bytes_each_time() {
    let (keys, mut chance) = (keys(), chance(3));
    let (bytes, secrets) = keys.joint.encrypt(&[0, 0, 7, 7], &mut chance);
    let mut seen: Vec<&[u8]> = bytes.chunks_exact(32).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), secrets.len()), (8, 4));
}

/// RFC 9496, appendices A.1 and A.2.
#[test]
fn points_are_encoded_as_rfc_9496_says_and_no_other_bytes_are_points() {
    let multiples = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
        "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
        "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    ];
    for (i, digits) in multiples.iter().enumerate() {
        let bytes: [u8; 32] = super::super::keys::unhex(digits).unwrap();
        assert_eq!(base(&Scalar::from(i as u64)).compress().0, bytes);
        assert_eq!(point(&bytes).unwrap(), base(&Scalar::from(i as u64)));
    }
    let bad = [
        // Not canonical.
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Negative.
        "0100000000000000000000000000000000000000000000000000000000000000",
        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // s = −1: y = 0.
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for digits in bad {
        let bytes: [u8; 32] = super::super::keys::unhex(digits).unwrap();
        assert_eq!(point(&bytes), None, "{digits}");
    }
    assert_eq!(point(&[0; 31]), None);
    // The order of the group is no scalar.
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order: [u8; 32] = super::super::keys::unhex(order).unwrap();
    assert_eq!(scalar(&order), None);
}
