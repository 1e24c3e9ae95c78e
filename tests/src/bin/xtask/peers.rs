//! What other kernels need for the same layers, and what this project wants to need.
//!
//! Instructions on Cortex-M4 in QEMU 7.2 `-icount`: CMSIS-NN at commit 99f736a, the best of eight
//! builds (gcc 12.2 and clang 19, with and without its assembly); TinyEngine at commit 47bb283,
//! gcc 12.2, 0 where it has no such operator. Counted on the layers of `pupil_tests::cases::bench`.

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The case.
    pub case: &'static str,
    /// Instructions of CMSIS-NN and TinyEngine.
    pub instructions: [u64; 2],
    /// What must be reached: instructions per multiply-accumulate (or element), or, above 1000,
    /// instructions. 0 where nothing is demanded.
    pub must: f64,
    /// What is aimed at.
    pub aim: f64,
}

const fn peer(case: &'static str, instructions: [u64; 2], must: f64, aim: f64) -> Peer {
    Peer {
        case,
        instructions,
        must,
        aim,
    }
}

/// All rows.
pub const PEERS: &[Peer] = &[
    peer("pw_16x16x32_64", [1_356_566, 1_336_789], 1.10, 0.97),
    peer("pw_8x8x96_24", [274_242, 284_725], 0.96, 0.88),
    peer("mb_expand_16x16x24_144", [2_808_894, 2_410_834], 0.0, 0.0),
    peer("mb_project_16x16x144_24", [1_495_362, 1_602_517], 0.0, 0.0),
    peer("conv3x3s2_32x32x3_16", [484_292, 268_016], 1.35, 1.15),
    peer("conv3x3s1_16x16x16_16", [1_291_379, 1_418_292], 0.98, 0.87),
    peer("dw3x3s1_16x16x64", [1_076_836, 1_063_468], 2.05, 1.75),
    peer("dw3x3s2_16x16x64", [269_756, 363_821], 2.95, 2.5),
    peer("dw5x5s1_8x8x96", [1_283_345, 665_755], 1.40, 1.20),
    peer("mb_dw3x3_16x16x144", [2_413_796, 2_392_348], 0.0, 0.0),
    peer("fc_256_10", [5_286, 0], 1.20, 1.05),
    peer("fc_64_256", [41_412, 0], 1.20, 1.05),
    peer("se36_fc_144_36_relu", [11_212, 0], 0.0, 0.0),
    peer("se36_fc_36_144_hsig", [16_324, 0], 0.0, 0.0),
    peer("se6_fc_6_144_hsig", [9_039, 0], 0.0, 0.0),
    peer("gap_8x8x96", [33_736, 48_781], 0.95, 0.75),
    peer("se36_gap_16x16x144", [191_988, 249_459], 0.0, 0.0),
    peer("add_16x16x24", [342_631, 679_223], 11.0, 9.8),
    peer("mb_residual_16x16x24", [342_631, 677_810], 0.0, 0.0),
    peer("se36_mul_16x16x144", [1_009_957, 0], 7.5, 5.9),
    peer("mbconv_16x16x24_e6_k3_se36", [8_460_332, 0], 1.35, 1.15),
    peer("mbconv_16x16x24_e6_k3_nose", [7_175_909, 0], 1.25, 1.05),
    peer("ic_resnet8", [28_615_224, 0], 14_000_000.0, 12_000_000.0),
    peer("kws_dscnn", [7_417_384, 0], 3_600_000.0, 3_000_000.0),
];

impl Peer {
    /// The row of a case.
    pub fn of(case: &str) -> Option<&'static Self> {
        PEERS.iter().find(|p| p.case == case)
    }

    /// The best of the peers' counts.
    pub fn best(&self) -> Option<u64> {
        self.instructions.into_iter().filter(|n| *n > 0).min()
    }

    /// A count in the unit of must and aim.
    fn unit(&self, instructions: u64, macs: u64) -> f64 {
        if self.must > 1000.0 {
            instructions as f64
        } else {
            instructions as f64 / macs.max(1) as f64
        }
    }

    /// "aim", "must" or "missed"; nothing where nothing is demanded.
    pub fn verdict(&self, instructions: u64, macs: u64) -> &'static str {
        let reached = |limit: f64| self.unit(instructions, macs) <= limit;
        match self.must {
            0.0 => "",
            _ if reached(self.aim) => "aim",
            must if reached(must) => "must",
            _ => "missed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_in_the_units_of_the_table() {
        let layer = Peer::of("pw_16x16x32_64").unwrap();
        assert_eq!(layer.verdict(508_559, 524_288), "aim");
        assert_eq!(layer.verdict(576_716, 524_288), "must");
        assert_eq!(layer.verdict(576_717, 524_288), "missed");
        assert_eq!(layer.best(), Some(1_336_789));
        let net = Peer::of("ic_resnet8").unwrap();
        assert_eq!(net.verdict(14_000_000, 1), "must");
        assert_eq!(net.verdict(14_000_001, 1), "missed");
        assert_eq!(Peer::of("mb_dw3x3_16x16x144").unwrap().verdict(9, 1), "");
        assert!(Peer::of("none").is_none());
    }

    #[test]
    fn every_case_has_a_row_and_every_row_a_case() {
        let cases = pupil_tests::cases::bench::all().unwrap();
        let names: Vec<&str> = cases.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, PEERS.iter().map(|p| p.case).collect::<Vec<_>>());
    }
}
