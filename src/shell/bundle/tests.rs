use super::*;
use crate::bundle::{AUTOENCODER, TENSORS};

#[test]
fn a_bundle_is_never_overwritten_and_other_files_are_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("models/a");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("README.md"), "mine").unwrap();
    let files = Files::from([(MANIFEST.to_owned(), vec![1]), (TENSORS.to_owned(), vec![2])]);
    write(&dir, &files).unwrap();
    assert_eq!(fs::read(dir.join(MANIFEST)).unwrap(), [1]);
    let again = write(&dir, &files).unwrap_err().to_string();
    assert!(again.contains("never overwritten"), "{again}");
    assert_eq!(fs::read(dir.join("README.md")).unwrap(), b"mine");
}

#[test]
fn a_directory_without_a_manifest_is_not_a_bundle() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), &Files::from([(TENSORS.to_owned(), vec![2])])).unwrap();
    let message = read(place.path()).unwrap_err().to_string();
    assert!(message.contains(MANIFEST), "{message}");
}

/// The shipped bundle of tables, in a directory of its own.
fn shuttle(into: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shuttle");
    fs::create_dir_all(into).unwrap();
    for name in FILES.map(|name| shipped.join(name)).iter().filter(|path| path.exists()) {
        fs::copy(name, into.join(name.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_bundle_that_python_signed_verifies_and_one_bit_elsewhere_refuses_it() {
    let place = tempfile::tempdir().unwrap();
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/model-signing");
    let dir = place.path().join("shuttle");
    shuttle(&dir);
    let key = frozen.join("signer.pem");
    let refused = || read_signed(&dir, &key).unwrap_err().to_string();
    assert!(refused().contains("shuttle.sig is not there"), "{}", refused());
    fs::copy(frozen.join("shuttle.sig"), place.path().join("shuttle.sig")).unwrap();
    read_signed(&dir, &key).unwrap();
    let stranger = frozen.join("stranger.pem");
    assert!(read_signed(&dir, &stranger).unwrap_err().to_string().contains("not signed by"));
    for name in FILES.iter().filter(|name| dir.join(name).exists()) {
        let path = dir.join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(refused().contains(&format!("{name} was changed")), "{}", refused());
        fs::write(&path, whole).unwrap();
    }
    fs::write(dir.join(crate::bundle::RESTORER), "not signed").unwrap();
    assert!(refused().contains("restorer.onnx is not signed"), "{}", refused());
}

#[test]
fn what_was_signed_here_verifies_here_and_a_signature_is_never_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("shuttle");
    shuttle(&dir);
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1);
    let pair = openssl::ec::EcKey::generate(&group.unwrap()).unwrap();
    let (key, public) = (place.path().join("key.pem"), place.path().join("public.pem"));
    fs::write(&key, pair.private_key_to_pem().unwrap()).unwrap();
    fs::write(&public, pair.public_key_to_pem().unwrap()).unwrap();
    check_signer(&dir, &key).unwrap();
    assert_eq!(sign(&dir, &key).unwrap(), place.path().join("shuttle.sig"));
    read_signed(&dir, &public).unwrap();
    assert!(sign(&dir, &key).is_err() && check_signer(&dir, &key).is_err());
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join(AUTOENCODER);
    let refused = || read(place.path()).unwrap_err().to_string();
    shuttle(place.path());
    read(place.path()).unwrap();
    fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(refused().contains("is a FIFO"), "{}", refused());
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(refused().contains("is a directory"), "{}", refused());
    fs::remove_dir(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    assert!(refused().contains("is a device"), "{}", refused());
    fs::remove_file(&file).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
    assert!(refused().contains("is a socket"), "{}", refused());
}

#[test]
fn a_link_may_stay_within_the_directory_and_not_leave_it() {
    use std::os::unix::fs::symlink;

    // As Kubernetes mounts a volume: every file a link through `..data`.
    let place = tempfile::tempdir().unwrap();
    let mount = place.path().join("mount");
    shuttle(&mount.join("..2026_01_01"));
    symlink("..2026_01_01", mount.join("..data")).unwrap();
    for name in FILES.iter().filter(|name| mount.join("..data").join(name).exists()) {
        symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
    }
    read(&mount).unwrap();
    // A link to the directory itself is the operator's own.
    symlink(&mount, place.path().join("current")).unwrap();
    read(&place.path().join("current")).unwrap();
    let outside = place.path().join("elsewhere.onnx");
    fs::copy(mount.join(AUTOENCODER), &outside).unwrap();
    for target in [outside.as_path(), Path::new("../elsewhere.onnx")] {
        fs::remove_file(mount.join(AUTOENCODER)).unwrap();
        symlink(target, mount.join(AUTOENCODER)).unwrap();
        let refused = read(&mount).unwrap_err().to_string();
        assert!(refused.contains("outside the bundle's directory"), "{refused}");
    }
}

#[test]
fn a_manifest_of_gigabytes_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    let file = File::create(place.path().join(MANIFEST)).unwrap();
    file.set_len(1 << 40).unwrap();
    let refused = read(place.path()).unwrap_err().to_string();
    assert!(refused.contains("larger than 4194304 bytes"), "{refused}");
}

#[test]
fn what_everybody_may_write_to_is_named_once() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("a");
    shuttle(&dir);
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&dir, 0o755);
    for name in FILES.map(|name| dir.join(name)).iter().filter(|path| path.exists()) {
        allow(name, 0o644);
    }
    assert_eq!(writable_by_all(&dir), Vec::<PathBuf>::new());
    allow(&dir, 0o777);
    allow(&dir.join(TENSORS), 0o666);
    assert_eq!(writable_by_all(&dir), [dir.clone(), dir.join(TENSORS)]);
}
