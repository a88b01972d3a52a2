use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if !cpu_is_supported() {
        tripline::shell::out::to_stderr(format_args!(
            "error: this build needs an x86-64-v3 CPU (AVX2, FMA, BMI2): build your own for older ones"
        ));
        return ExitCode::from(78);
    }
    ExitCode::from(tripline::cli::Cli::parse().run() as u8)
}

/// Whether the CPU has what `.cargo/config.toml` lets the compiler use.
fn cpu_is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        has!("avx2") && has!("fma") && has!("bmi2") && has!("f16c") && has!("movbe")
    }
    #[cfg(not(target_arch = "x86_64"))]
    true
}
