//! Everything that is wrong is refused, and named; nothing panics.

use openssl::sign::Signer;
use proptest::prelude::*;

use super::super::group::DOMAIN;
use super::super::group::{base, random};
use super::super::preamble::PREAMBLE;
use super::*;

/// `record` as a site that means harm would sign it.
fn signed(site: &SiteSecret, mut record: Vec<u8>) -> Vec<u8> {
    record.truncate(record.len() - 64);
    let mut signer = Signer::new_without_digest(&site.key).unwrap();
    let signature = signer.sign_oneshot_to_vec(&[DOMAIN, &record].concat()).unwrap();
    [record, signature].concat()
}

fn name<T: std::fmt::Debug>(read: Result<T, Rejection>) -> &'static str {
    read.expect_err("it is refused").name()
}

#[test]
fn of_a_tally_a_sum_and_a_share_every_changed_byte_is_refused() {
    let mut world = World::new(3, 2, 1);
    let record = world.seal(0, 1, &tally(1, 1));
    let (contributions, _) = world.window(1);
    let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
    let share = world.share(0, &sum);
    let federation = &world.federation;
    let mut names = std::collections::BTreeSet::new();
    let changed = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    for at in 0..record.len() {
        names.insert(name(Contribution::read(federation, &changed(&record, at))));
    }
    for at in 0..sum.to_bytes().len() {
        let bytes = changed(sum.to_bytes(), at);
        names.insert(name(SummedWindow::read(federation, &bytes, &contributions)));
    }
    for at in 0..share.len() {
        names.insert(name(TrusteeShare::read(federation, &sum, &changed(&share, at))));
    }
    for expected in [
        "version",
        "kind",
        "other-terms",
        "other-keys",
        "no-window",
        "part",
        "counters",
        "signature",
        "wrong-sum",
        "other-contribution",
        "other-sum",
        "wrong-share",
        "point",
    ] {
        assert!(names.contains(expected), "{expected} is not among {names:?}");
    }
    // One byte less or more is refused too.
    for bytes in [&record[..record.len() - 1], &[&record[..], &[0]].concat(), &record[..3], &[]] {
        assert_eq!(name(Contribution::read(federation, bytes)), "length");
    }
}

#[test]
fn a_site_cannot_send_what_another_site_encrypted_nor_a_multiple_of_it() {
    let mut world = World::new(3, 2, 1);
    let victims = world.seal(0, 1, &tally(1, 1));
    // Under its own number and name.
    let mut copy = victims.clone();
    copy[PREAMBLE - 6] = 1;
    let copy = signed(&world.sites[1], copy);
    assert_eq!(name(Contribution::read(&world.federation, &copy)), "not-its-own");
    // Its ciphertexts times 1,000, plus an encryption of its own.
    let own = world.seal(1, 1, &tally(2, 1));
    let mut multiple = own.clone();
    let end = PREAMBLE + 64 * world.federation.counters();
    for at in (PREAMBLE..end).step_by(32) {
        let point = |bytes: &[u8]| super::super::group::point(&bytes[at..at + 32]).unwrap();
        let thousand = curve25519_dalek::scalar::Scalar::from(1000_u32);
        let sum = point(&victims) * thousand + point(&own);
        multiple[at..at + 32].copy_from_slice(&sum.compress().0);
    }
    let multiple = signed(&world.sites[1], multiple);
    assert_eq!(name(Contribution::read(&world.federation, &multiple)), "not-its-own");
    // And the same record for another window.
    let mut later = victims;
    later[66..74].copy_from_slice(&(2 * WINDOW_MS).to_le_bytes());
    let later = signed(&world.sites[0], later);
    assert_eq!(name(Contribution::read(&world.federation, &later)), "not-its-own");
}

#[test]
fn keys_and_points_that_are_not_what_they_seem_are_refused_by_name() {
    let mut world = World::new(3, 2, 1);
    let record = world.seal(0, 1, &tally(1, 1));
    // Signed by a site that is none.
    let stranger = SiteSecret::generate("site-0", &mut world.chance).unwrap();
    assert_eq!(name(stranger.number(&world.federation)), "not-a-member");
    let foreign = signed(&stranger, record.clone());
    assert_eq!(name(Contribution::read(&world.federation, &foreign)), "signature");
    // Signed well, but a point has a second encoding, or the proof a scalar has.
    let mut wild = record.clone();
    wild[PREAMBLE..PREAMBLE + 32].fill(0xff);
    let wild = signed(&world.sites[0], wild);
    assert_eq!(name(Contribution::read(&world.federation, &wild)), "point");
    let mut wild = record.clone();
    let proof = record.len() - 128;
    wild[proof..proof + 32].fill(0xff);
    let wild = signed(&world.sites[0], wild);
    assert_eq!(name(Contribution::read(&world.federation, &wild)), "scalar");
    // Another federation, whose trustees differ.
    let mut other = World::new(3, 3, 1);
    let theirs = other.seal(0, 1, &tally(1, 1));
    assert_eq!(name(Contribution::read(&world.federation, &theirs)), "other-keys");
}

#[test]
fn a_repeated_a_missing_and_a_foreign_contribution_are_refused_by_name() {
    let mut world = World::new(4, 2, 1);
    let (one, _) = world.window(1);
    let (two, _) = world.window(2);
    let of = |each: &[&Contribution]| SummedWindow::of(&world.federation, each.iter().copied());
    assert_eq!(name(of(&[&one[0], &one[1], &one[1], &one[2]])), "repeated");
    assert_eq!(name(of(&[&one[0], &one[1]])), "too-few-sites");
    assert_eq!(name(of(&[])), "too-few-sites");
    assert_eq!(name(of(&[&one[0], &one[1], &two[2]])), "other-window");
    let sum = of(&[&one[0], &one[1], &one[2]]).unwrap();
    let named = SummedWindow::read(&world.federation, sum.to_bytes(), &one[1..]);
    assert_eq!(name(named), "other-contribution");
}

#[test]
fn all_trustees_but_one_open_nothing() {
    let mut world = World::new(3, 3, 1);
    let (contributions, _) = world.window(1);
    let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
    let (shares, logarithms) = (world.shares(&sum), Logarithms::new());
    let open = |shares: &[TrusteeShare]| name(sum.open(&world.federation, shares, &logarithms));
    for missing in 0..3 {
        let mut some = shares.clone();
        some.remove(missing);
        assert_eq!(open(&some), "missing-share");
        some.push(some[0].clone());
        assert_eq!(open(&some), "repeated-share");
        // Whoever leaves the check out has nothing either: what is left is no count.
        let two = shares.iter().enumerate().filter(|(i, _)| *i != missing);
        let rest: curve25519_dalek::RistrettoPoint = two.map(|(_, share)| share.points[0]).sum();
        let left = sum.ciphertexts.second[0] - rest;
        assert_eq!(name(logarithms.of(&[left])), "unopenable");
    }
    let (later, _) = world.window(2);
    let later = SummedWindow::of(&world.federation, &later).unwrap();
    let strange = world.shares(&later);
    assert_eq!(name(sum.open(&world.federation, &strange, &logarithms)), "other-sum");
    let share = world.share(0, &later);
    assert_eq!(name(TrusteeShare::read(&world.federation, &sum, &share)), "other-window");
}

#[test]
fn a_share_by_another_key_is_refused() {
    let mut world = World::new(3, 2, 1);
    let (contributions, _) = world.window(1);
    let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
    let mut share = world.share(1, &sum);
    // As if trustee 0 had made it.
    share[PREAMBLE - 6] = 0;
    assert_eq!(name(TrusteeShare::read(&world.federation, &sum, &share)), "wrong-share");
}

#[test]
fn a_window_is_opened_once_and_the_list_of_opened_windows_survives_as_text() {
    let mut world = World::new(4, 2, 1);
    let (contributions, _) = world.window(1);
    let all = SummedWindow::of(&world.federation, &contributions).unwrap();
    let fewer = SummedWindow::of(&world.federation, &contributions[1..]).unwrap();
    let mut opened = OpenedWindows::default();
    opened.admit(&all).unwrap();
    let mut opened = OpenedWindows::from_text(&opened.to_text()).unwrap();
    assert_eq!(name(opened.admit(&fewer)), "opened-before");
    // A trustee that fell between its list and its share goes on.
    opened.admit(&all).unwrap();
    let text = opened.to_text();
    for cut in 0..text.len() {
        assert_eq!(name(OpenedWindows::from_text(&text[..cut])), "opened", "{cut} bytes");
    }
}

#[test]
fn the_list_of_opened_windows_stays_bounded_and_forgets_no_window_that_it_would_open() {
    let mut world = World::new(3, 1, 0);
    let (contributions, _) = world.window(0);
    let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
    let at = |i: i64| {
        let mut sum = sum.clone();
        sum.window = Timestamp(i * WINDOW_MS);
        sum
    };
    let mut opened = OpenedWindows::default();
    for i in 0..5000 {
        opened.admit(&at(i)).unwrap();
    }
    assert!(opened.to_text().len() < 500_000);
    assert_eq!(name(opened.admit(&at(0))), "too-old");
    assert_eq!(OpenedWindows::from_text(&opened.to_text()).unwrap(), opened);
}

#[test]
fn a_trustee_whose_key_cancels_the_others_cannot_join() {
    let mut chance = chance(9);
    let sites: String = (0..3)
        .map(|i| SiteSecret::generate(&format!("site-{i}"), &mut chance).unwrap().public_lines())
        .collect();
    let honest = TrusteeSecret::generate("honest", &mut chance).unwrap();
    let lines = honest.public_lines(&mut chance);
    let head = Federation::head("shops", "b", 1000, 0);
    Federation::read(&format!("{head}{sites}{lines}")).unwrap();
    // Its key is x·G minus the key of the honest one, so that x opens all sums.
    let honest = super::super::group::point(
        &super::super::keys::unhex::<32>(lines.split('"').nth(3).unwrap()).unwrap(),
    );
    let rogue = base(&random(&mut chance)) - honest.unwrap();
    let proof = lines.split('"').nth(5).unwrap();
    let key = super::super::keys::hex(&rogue.compress().0);
    let theirs = format!("\n[[trustee]]\nname = \"rogue\"\nkey = \"{key}\"\nproof = \"{proof}\"\n");
    let refused = Federation::read(&format!("{head}{sites}{lines}{theirs}")).unwrap_err();
    assert!(refused.to_string().contains("trustee rogue: its proof does not show"), "{refused}");
}

#[test]
fn a_file_of_a_federation_that_is_wrong_is_refused_with_the_reason() {
    let mut chance = chance(9);
    let lines = |name: &str, chance: &mut ChaCha20Rng| {
        SiteSecret::generate(name, chance).unwrap().public_lines()
    };
    let trustee = TrusteeSecret::generate("t", &mut chance).unwrap().public_lines(&mut chance);
    let [a, b, c] = ["a", "b", "c"].map(|name| lines(name, &mut chance));
    let head = Federation::head("shops", "b", 1000, 0);
    let check = |text: String, why: &str| {
        let refused = Federation::read(&text).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    };
    Federation::read(&format!("{head}{a}{b}{c}{trustee}")).unwrap();
    check(format!("{head}{a}{b}{trustee}"), "min_sites must be from 3 to 2");
    check(format!("{head}{a}{b}{c}"), "from 1 to 64 trustees");
    check(format!("{head}{a}{a}{b}{c}{trustee}"), "site a: its name or key is there twice");
    check(format!("{head}{a}{b}{c}{trustee}{trustee}"), "trustee t: its name or key");
    check(format!("{head}x = 1\n{a}{b}{c}{trustee}"), "unknown field");
    let weak = head.replace("min_sites = 3", "min_sites = 2");
    check(format!("{weak}{a}{b}{c}{trustee}"), "min_sites must be from 3");
    let endless = head.replace("window_ms = 1000", "window_ms = 0");
    check(format!("{endless}{a}{b}{c}{trustee}"), "window_ms is 0");
    let wide = head.replace("cells = 0", "cells = 65537");
    check(format!("{wide}{a}{b}{c}{trustee}"), "cells is above");
    check(format!("{head}{}{b}{c}{trustee}", a.replace("\"a\"", "\"../a\"")), "a name has");
}

#[test]
fn a_secret_is_read_back_as_it_was_written_and_never_shown() {
    let mut chance = chance(4);
    let site = SiteSecret::generate("bank-a", &mut chance).unwrap();
    let trustee = TrusteeSecret::generate("auditor", &mut chance).unwrap();
    for text in [site.to_text(), trustee.to_text()] {
        let digits = text.split_ascii_whitespace().last().unwrap();
        let read = MemberSecret::from_text(&text).unwrap();
        assert!(!format!("{read:?}").contains(&digits[..8]));
        let public = match &read {
            MemberSecret::Site(site) => site.public_lines(),
            MemberSecret::Trustee(trustee) => trustee.public_lines(&mut chance),
        };
        assert!(!public.contains(digits));
        let again = match &read {
            MemberSecret::Site(site) => site.to_text(),
            MemberSecret::Trustee(trustee) => trustee.to_text(),
        };
        assert_eq!(again, text);
        for wrong in ["", "x", &text[..text.len() - 2], &text.replace("-v1", "-v2")] {
            let refused = MemberSecret::from_text(wrong).unwrap_err();
            assert_eq!(refused.name(), "key");
            assert!(!refused.to_string().contains(&digits[..8]));
        }
    }
    // Overwritten when dropped: the type says so.
    fn overwritten<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    overwritten(&trustee.x);
    overwritten(&trustee.to_text());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic_and_none_pass(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        at in 0_usize..500,
        whole: bool,
    ) {
        thread_local! {
            static KNOWN: (Federation, Vec<Contribution>, SummedWindow, [Vec<u8>; 3]) = {
                let mut world = World::new(3, 1, 0);
                let (contributions, _) = world.window(1);
                let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
                let records = [world.seal(0, 1, &tally(1, 0)), sum.to_bytes().to_vec(), world.share(0, &sum)];
                (world.federation, contributions, sum, records)
            };
        }
        KNOWN.with(|(federation, contributions, sum, records)| {
            // By themselves, or after the beginning of a sound record.
            let after = |record: &[u8]| match whole {
                true => bytes.clone(),
                false => [&record[..at.min(record.len() - 1)], &bytes].concat(),
            };
            let [tally, total, share] = records.each_ref().map(|record| after(record));
            assert!(Contribution::read(federation, &tally).is_err());
            assert!(SummedWindow::read(federation, &total, contributions).is_err());
            assert!(TrusteeShare::read(federation, sum, &share).is_err());
        });
        let text = String::from_utf8_lossy(&bytes);
        assert!(Federation::read(&text).is_err());
        assert!(MemberSecret::from_text(&text).is_err());
        assert!(OpenedWindows::from_text(&text).is_err());
    }
}
