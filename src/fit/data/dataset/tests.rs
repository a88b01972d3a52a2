use std::io::Write;

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(body);
    file
}

fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (i, (name, bytes)) in members.iter().enumerate() {
        let method = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated][i % 2];
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Three 2×2 images of bytes.
fn idx_images() -> Vec<u8> {
    let mut file = vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2];
    file.extend(0..12);
    file
}

fn idx_labels() -> Vec<u8> {
    vec![0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]
}

fn load(bytes: &[u8], labels: Option<&[u8]>) -> Result<Dataset, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows");
    std::fs::write(&file, bytes).unwrap();
    let labels = labels.map(|bytes| {
        let file = folder.path().join("labels");
        std::fs::write(&file, bytes).unwrap();
        file
    });
    Dataset::load(&file, labels.as_deref()).map_err(|e| e.to_string())
}

#[test]
fn every_format_gives_the_same_rows_and_labels() {
    let body: Vec<u8> = (0..12).collect();
    let x = npy("|u1", "(3, 2, 2)", &body);
    let y = npy("<i4", "(3,)", &[7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0]);
    let idx = load(&idx_images(), Some(&idx_labels())).unwrap();
    assert_eq!(idx.x.row(1).to_vec(), [4.0, 5.0, 6.0, 7.0]);
    assert_eq!((idx.y.clone(), idx.integer), (Some(vec![7, 8, 9]), true));
    assert_eq!(idx.shape, [2, 2]);
    for (rows, labels) in [
        (gzip(&idx_images()), Some(gzip(&idx_labels()))),
        (x.clone(), Some(y.clone())),
        (npz(&[("X.npy", x.clone()), ("y.npy", y.clone())]), None),
        (npz(&[("y.npy", y.clone()), ("x.npy", x.clone())]), None),
        (npz(&[("x.npy", x.clone())]), Some(npz(&[("y.npy", y.clone())]))),
        (npz(&[("X_train.npy", x.clone()), ("y_train.npy", y.clone())]), None),
        (npz(&[("arr_0.npy", x.clone())]), Some(y.clone())),
        (npz(&[("whatever.npy", x.clone())]), Some(y.clone())),
    ] {
        let other = load(&rows, labels.as_deref()).unwrap();
        assert_eq!(Dataset { digest: idx.digest, ..other }, idx);
    }
}

#[test]
fn the_digest_is_of_the_file_as_it_lies_on_the_disk() {
    let plain = load(&idx_images(), None).unwrap().digest;
    assert_eq!(plain, <[u8; 32]>::from(Sha256::digest(idx_images())));
    assert_ne!(load(&gzip(&idx_images()), None).unwrap().digest, plain);
}

#[test]
fn a_refusal_says_what_was_found_and_what_is_accepted() {
    let nan = f32::NAN.to_le_bytes();
    for (rows, labels, found) in [
        (idx_labels(), None, "the shape [3]"),
        (npy("|u1", "(0, 4)", &[]), None, "the shape [0, 4]"),
        (npy("<f4", "(1, 1)", &nan), None, "NaN in row 0, column 0"),
        (npy("<f8", "(1, 1)", &1e300_f64.to_le_bytes()), None, "inf in row 0, column 0"),
        (npz(&[("z.npy", vec![]), ("w.npy", vec![])]), None, "an .npz with [\"z.npy\", \"w.npy\"]"),
        (b"a,b\n1,2\n".to_vec(), None, "a file that starts with [61, 2c, 62, 0a]"),
        (vec![], None, "a file that starts with []"),
        (idx_images(), Some(idx_images()), "labels of shape [3, 2, 2] for 3 rows"),
    ] {
        let refusal = load(&rows, labels.as_deref()).unwrap_err();
        assert!(refusal.contains(found), "{refusal}");
        assert!(refusal.contains("accepted: "), "{refusal}");
    }
    let missing = Dataset::load(Path::new("no-such-file"), None).unwrap_err();
    assert!(missing.to_string().starts_with("no-such-file: cannot read"), "{missing}");
}

proptest! {
    /// Cuts and flips of good files, and noise: a refusal or a well-formed set, never a panic.
    #[test]
    fn no_damage_to_a_file_makes_it_panic_or_break_a_promise(
        which in 0..5_usize,
        cut in 0..400_usize,
        flips in prop::collection::vec((0..400_usize, any::<u8>()), 0..4),
    ) {
        let x = npy("<f4", "(2, 2)", &[0; 16]);
        let y = npy("|i1", "(2,)", &[1, 2]);
        let files = [
            x.clone(),
            idx_images(),
            gzip(&idx_images()),
            npz(&[("x.npy", x.clone()), ("y.npy", y.clone())]),
            npz(&[("y.npy", y), ("X.npy", x)]),
        ];
        let mut file = files[which].clone();
        // Most cases keep the whole file, so that the flips reach the parser behind.
        file.truncate(if cut % 4 == 0 { cut } else { file.len() });
        for (at, value) in flips {
            let len = file.len().max(1);
            if let Some(byte) = file.get_mut(at % len) {
                *byte = value;
            }
        }
        if let Ok(set) = load(&file, None) {
            prop_assert!(set.x.nrows() > 0 && set.x.ncols() > 0);
            prop_assert!(set.x.iter().all(|v| v.is_finite()));
            prop_assert_eq!(set.shape.iter().product::<usize>(), set.x.ncols());
            prop_assert!(set.y.is_none_or(|y| y.len() == set.x.nrows()));
        }
    }
}
