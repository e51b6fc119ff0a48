//! Whether this CPU runs the compiled coding kernels.

/// This CPU lacks instructions that the coding kernels are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this CPU has no {missing}: Cairn's erasure coding needs AVX2 on x86-64, which Intel CPUs have since Haswell (2013) \
     and AMD CPUs since Excavator (2015); in a virtual machine, pass the host's CPU model through"
)]
pub struct CpuError {
    /// The first instruction set that is missing.
    pub missing: &'static str,
}

/// Refuses a CPU that would end the process at the first coded stripe: the kernels are compiled for AVX2 and are not
/// chosen at run time. To be called before anything is coded.
///
/// # Errors
/// [`CpuError`] on x86-64 without AVX2, or without the instructions that came with it.
pub fn check_cpu() -> Result<(), CpuError> {
    match instruction_sets().into_iter().find(|(_, present)| !present) {
        Some((missing, _)) => Err(CpuError { missing }),
        None => Ok(()),
    }
}

/// What `-march=haswell` lets the C compiler use beyond SSE2.
#[cfg(target_arch = "x86_64")]
fn instruction_sets() -> Vec<(&'static str, bool)> {
    vec![
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("BMI1", std::arch::is_x86_feature_detected!("bmi1")),
        ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
        ("LZCNT", std::arch::is_x86_feature_detected!("lzcnt")),
        ("MOVBE", std::arch::is_x86_feature_detected!("movbe")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
    ]
}

/// Other architectures' kernels use what every CPU of theirs has.
#[cfg(not(target_arch = "x86_64"))]
fn instruction_sets() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_what_is_missing_and_what_would_help() {
        let text = CpuError { missing: "AVX2" }.to_string();
        assert!(text.starts_with("this CPU has no AVX2: "), "{text}");
        assert!(text.contains("Haswell") && !text.contains("  "), "{text}");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_check_agrees_with_the_cpu() {
        assert_eq!(check_cpu().is_ok(), instruction_sets().iter().all(|(_, present)| *present));
        assert_eq!(instruction_sets()[0], ("AVX2", std::arch::is_x86_feature_detected!("avx2")));
    }
}
