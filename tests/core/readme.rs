//! The README's commands, run as they are written.

use std::path::Path;
use std::process::{Command, Output};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PIXELS: usize = 784;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Lines of all `sh` blocks of a Markdown text, without comments.
fn commands(markdown: &str) -> Vec<String> {
    let blocks = markdown.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| line.split(" #").next().unwrap().trim().to_owned())
        .collect()
}

/// `tripline …` as it is written, in `dir`, with more arguments at its end.
fn tripline(dir: &Path, command: &str, more: &[&str]) -> Output {
    let words: Vec<_> = command.split_whitespace().skip(1).collect();
    let library = root().join(".tools/onnxruntime/libonnxruntime.so");
    Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(words)
        .args(more)
        .current_dir(dir)
        .env("ORT_DYLIB_PATH", std::env::var_os("ORT_DYLIB_PATH").unwrap_or(library.into()))
        .output()
        .expect("tripline runs")
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

/// A `.npy` file of 10,000 images: those of the slice, each five times with one pixel changed.
fn write_clean_rows(path: &Path) {
    let images = std::fs::read(root().join("models/fashion-mnist/slice/clean.u8")).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let shape = "{'descr': '|u1', 'fortran_order': False, 'shape': (10000, 784), }";
    let header = format!("{shape:<117}\n");
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(header.as_bytes());
    for _ in 0..5 {
        for image in images.chunks_exact(PIXELS) {
            let start = file.len();
            file.extend(image);
            file[start + rng.random_range(0..PIXELS)] = rng.random();
        }
    }
    std::fs::write(path, file).unwrap();
}

#[test]
fn the_commands_that_make_a_guard_work_as_they_are_written() {
    let commands = commands(&read("README.md"));
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    write_clean_rows(&dir.join("clean.npy"));
    let model = root().join("models/fashion-mnist/protected-model.onnx");
    std::fs::copy(model, dir.join("model.onnx")).unwrap();
    let config = read("config/tripline.toml");
    let bundle = config.lines().find(|line| line.starts_with("bundle =")).expect("a bundle line");
    let config = config.replace(bundle, "bundle = \"models/mine\"");
    std::fs::write(dir.join("tripline.toml"), config).unwrap();

    let find = |verb: &str| {
        let begins = format!("tripline {verb} ");
        commands.iter().find(|c| c.starts_with(&begins)).unwrap_or_else(|| panic!("no {verb}"))
    };
    let fit = tripline(dir, find("fit"), &["--epochs-max", "1"]);
    assert!(fit.status.success(), "{}", said(&fit));
    // Without a cluster: the rest of `check`, and `topics`, run against a real one in delivery.rs.
    let check = tripline(dir, &find("check").replace(" --connect", ""), &[]);
    assert!(check.status.success(), "{}", said(&check));
    let topics = tripline(dir, &find("topics").replace("--apply", "--print"), &[]);
    assert!(said(&topics).contains("kafka-topics.sh"), "{}", said(&topics));
    for verb in ["check", "topics", "run"] {
        assert!(
            read("tests/broker/delivery.rs").contains(&format!("[\"{verb}\", \"-c\"")),
            "{verb}"
        );
    }
}

#[test]
fn ci_runs_the_readmes_test_command_and_nothing_else() {
    let commands = commands(&read("README.md"));
    assert!(commands.iter().any(|c| c == "make demo"), "{commands:?}");
    assert!(commands.iter().any(|c| c == "make test"), "{commands:?}");
    let script = read(".ci/run");
    let runs: Vec<_> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !line.starts_with("set ") && !line.starts_with("cd "))
        .map(|line| line.trim_start_matches("exec "))
        .collect();
    assert_eq!(runs, ["make test"]);
}

#[test]
fn the_kubernetes_configuration_is_one_that_run_would_take() {
    use tripline::config::{Config, Secret};

    let path = Path::new("k8s/base/tripline.toml");
    let token = |_: Secret<'_>| Ok("a-token-that-a-Secret-holds".to_owned());
    let config = Config::read(path, &read("k8s/base/tripline.toml"), [], &token);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let admin = config.admin.expect("the probes ask /live and /ready");
    assert!(!admin.is_open(), "whoever reaches the pod may read its metrics");
}
