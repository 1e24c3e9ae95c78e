//! The part of `cargo xtask bench` about memory: what schedules save, and what they cost.

use anyhow::anyhow;
use pupil_core::model::Model;
use pupil_firmware::cases::Work;
use pupil_packer::plan::{Goal, Memory, Plan, schedule};
use pupil_tests::cases::{Case, Random, networks};
use serde_json::{Value, json};

use super::bench::Answer;
use super::command::{out, root};

/// A model in one schedule.
pub struct Row {
    /// What runs.
    pub case: Case,
    /// Bytes of the arena; of the same model, layer by layer.
    arena: (usize, usize),
    /// Instructions that the planner counts on.
    planned: u64,
    /// Greatest share of the layer-by-layer arena: must, aim. 0 where nothing is demanded.
    share: [f64; 2],
    /// Greatest factor on the instructions; 0 where they are only shown.
    price: f64,
    /// Index of the row that has the same model layer by layer.
    plain: usize,
}

/// A student in the schedules that are compared.
struct Student {
    name: &'static str,
    case: Case,
    modes: Vec<(&'static str, Memory, [f64; 2], f64)>,
}

/// The students.
fn students() -> anyhow::Result<Vec<Student>> {
    let within = |case: &Case, percent: usize| {
        let arena = Model::parse(&case.model).map(|m| m.arena_len());
        arena.map(|a| Goal::Within(a * percent / 100))
    };
    let memory = |goal, frame_by_rows| Memory {
        goal,
        frame_by_rows,
    };
    let wide = networks::student96()?;
    let quick = quickstart()?;
    let (half, aim) = (within(&wide, 50)?, within(&wide, 40)?);
    Ok(vec![
        Student {
            name: "student96",
            modes: vec![
                ("within 0.5", memory(half, false), [0.5, 0.4], 1.05),
                ("within 0.4", memory(aim, false), [0.5, 0.4], 1.05),
                ("smallest", memory(Goal::Smallest, false), [0.5, 0.4], 0.0),
                (
                    "smallest, rows",
                    memory(Goal::Smallest, true),
                    [0.5, 0.4],
                    0.0,
                ),
                ("within 0.4, rows", memory(aim, true), [0.5, 0.4], 1.05),
            ],
            case: wide,
        },
        Student {
            name: "quickstart",
            modes: vec![
                ("smallest", memory(Goal::Smallest, false), [0.5, 0.0], 0.0),
                (
                    "smallest, rows",
                    memory(Goal::Smallest, true),
                    [0.5, 0.0],
                    0.0,
                ),
            ],
            case: quick,
        },
    ])
}

/// The committed student on a random frame.
fn quickstart() -> anyhow::Result<Case> {
    let model = std::fs::read(root().join("firmware/model/quickstart.pupil"))?;
    let parsed = Model::parse(&model)?;
    let mut case = Case {
        name: "quickstart".into(),
        macs: parsed.macs().into(),
        work: Work::Whole,
        input: Random::new(28).bytes(parsed.input().shape.len()),
        second: vec![],
        expected: vec![0; parsed.class_count()],
        model,
    };
    case.expected = case.on_host().map_err(|e| anyhow!(e))?;
    Ok(case)
}

/// All rows: each student layer by layer, then in its schedules.
///
/// # Errors
/// A student that can't be packed.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for Student { name, case, modes } in students()? {
        let plain = rows.len();
        let model = Model::parse(&case.model)?;
        let whole = model.arena_len();
        rows.push(Row {
            case: Case {
                name: format!("{name}, layer by layer"),
                ..case.clone()
            },
            arena: (whole, whole),
            planned: Plan::of(&model).instructions,
            share: [0.0; 2],
            price: 0.0,
            plain,
        });
        for (mode, memory, share, price) in modes {
            let packed = schedule(&case.model, memory)?;
            let model = Model::parse(&packed)?;
            rows.push(Row {
                arena: (model.arena_len(), whole),
                planned: Plan::of(&model).instructions,
                case: Case {
                    name: format!("{name}, {mode}"),
                    model: packed,
                    ..case.clone()
                },
                share,
                price,
                plain,
            });
        }
    }
    Ok(rows)
}

impl Row {
    fn share(&self) -> f64 {
        self.arena.0 as f64 / self.arena.1 as f64
    }

    /// Instructions over those layer by layer.
    fn price(&self, answers: &[Answer], i: usize) -> f64 {
        answers[i].instructions as f64 / answers[self.plain].instructions.max(1) as f64
    }

    /// "aim", "must" or "missed"; nothing where nothing is demanded. A planner whose count is more
    /// than 5 % off has missed, too.
    pub fn verdict(&self, answers: &[Answer], i: usize) -> &'static str {
        let dear = self.price > 0.0 && self.price(answers, i) > self.price;
        // The planner's count is a claim, too.
        let far = self.planned.abs_diff(answers[i].instructions) * 20 > answers[i].instructions;
        let [must, aim] = self.share;
        match self.share() {
            _ if far => "missed",
            _ if must == 0.0 => "",
            share if share > must || dear => "missed",
            share if share <= aim => "aim",
            _ => "must",
        }
    }

    /// The row as an object of the list.
    pub fn as_json(&self, answers: &[Answer], i: usize) -> Value {
        let goal = |n: f64| Some(n).filter(|n| *n > 0.0);
        json!({
            "case": self.case.name,
            "isa": "arm-dsp",
            "instructions": answers[i].instructions,
            "per_mac": answers[i].instructions as f64 / self.case.macs.max(1) as f64,
            "peer": null,
            "ratio": self.price(answers, i),
            "arena": self.arena.0,
            "arena_layer_by_layer": self.arena.1,
            "arena_share": self.share(),
            "planned": self.planned,
            "longest_step": answers[i].longest,
            "must": goal(self.share[0]),
            "aim": goal(self.share[1]),
            "verdict": self.verdict(answers, i),
            "wrong": answers[i].wrong,
        })
    }
}

/// Prints the rows.
pub fn print(rows: &[Row], answers: &[Answer]) {
    out!("\nmemory: bytes of the arena, the frame or its rows included");
    out!(
        "{:<28} {:>8} {:>6} {:>5} {:>5} {:>13} {:>6} {:>12} {:>12}",
        "schedule",
        "arena",
        "share",
        "must",
        "aim",
        "instructions",
        "price",
        "planned",
        "longest step"
    );
    for (i, row) in rows.iter().enumerate() {
        let goal = |n: f64| match n {
            0.0 => String::from("-"),
            n => format!("{n:.2}"),
        };
        let wrong = match answers[i].wrong {
            0 => String::new(),
            n => format!("  {n} BYTES WRONG"),
        };
        out!(
            "{:<28} {:>8} {:>6.3} {:>5} {:>5} {:>13} {:>6.3} {:>12} {:>12} {}{wrong}",
            row.case.name,
            row.arena.0,
            row.share(),
            goal(row.share[0]),
            goal(row.share[1]),
            answers[i].instructions,
            row.price(answers, i),
            row.planned,
            answers[i].longest,
            row.verdict(answers, i)
        );
    }
}
