//! What a packed student holds, in words or JSON.

use std::fmt::Write as _;
use std::path::Path;

use crate::run::packed::verified;
use crate::util::files::read_file;
use crate::util::limits;
use anyhow::{Context as _, anyhow};
use pupil_core::error::ModelError;
use pupil_core::model::Model;
use pupil_packer::plan::Plan;
use serde_json::json;

/// Describes the packed model in `file`.
///
/// # Errors
/// A file that can't be read or is no packed model, with what to do.
pub(crate) fn describe(file: &Path, as_json: bool) -> anyhow::Result<String> {
    let name = file.display();
    let bytes = read_file(file).with_context(|| {
        format!("{name}: can't be read\n  do:    give the path of a student.pupil")
    })?;
    verified(file, &bytes)?;
    let model =
        Model::parse(&bytes).map_err(|e| anyhow!("{name}: {e}\n  do:    {}", advice(&e)))?;
    let refused = limits::check(&model).err();
    let plan = Plan::of(&model);
    let input = model.input();
    let shape = input.shape;
    if as_json {
        let layers: Vec<_> = model
            .layers()
            .map(|l| {
                let out = model.tensor(l.output).shape;
                json!({
                    "operator": l.operator.name(),
                    "output": [out.h, out.w, out.c],
                    "macs": l.operator.macs(),
                })
            })
            .collect();
        let object = json!({
            "input": [shape.h, shape.w, shape.c],
            "labels": model.labels().collect::<Vec<_>>(),
            "flash": bytes.len(),
            "arena": model.arena_len(),
            "macs": model.macs(),
            "work": model.work(),
            "refused": refused.map(|why| why.to_string()),
            "layers": layers,
        });
        return Ok(format!("{object}\n"));
    }
    let mut text = String::new();
    let labels: Vec<&str> = model.labels().collect();
    writeln!(text, "{name}")?;
    if let Some(why) = refused {
        writeln!(text, "  not run by this program: {why}")?;
    }
    writeln!(
        text,
        "  input   {}x{}x{} u8 pixels",
        shape.h, shape.w, shape.c
    )?;
    writeln!(text, "  classes {}: {}", labels.len(), labels.join(", "))?;
    writeln!(text, "  flash   {} bytes", bytes.len())?;
    writeln!(text, "  arena   {} bytes", model.arena_len())?;
    writeln!(
        text,
        "  work    {} multiply-accumulates an image, {} values read by all operators\n",
        model.macs(),
        model.work()
    )?;
    writeln!(
        text,
        "layer  operator         output         MACs  arena in use"
    )?;
    for (i, layer) in model.layers().enumerate() {
        let out = model.tensor(layer.output).shape;
        let dims = format!("{}x{}x{}", out.h, out.w, out.c);
        let (name, macs, used) = (layer.operator.name(), layer.operator.macs(), plan.in_use(i));
        writeln!(text, "{i:>5}  {name:<14} {dims:>9} {macs:>12} {used:>13}")?;
    }
    writeln!(text, "\n{plan}")?;
    Ok(text)
}

fn advice(error: &ModelError) -> &'static str {
    match error {
        ModelError::NewerFormat { .. } => {
            "use a pupil as new as the one that packed it, or pack again: pupil pack --fresh"
        }
        ModelError::NotAModel { .. } => {
            "give the path of a student.pupil, from a run's 6-pack folder"
        }
        _ => "copy the file again, or make it anew: pupil pack --fresh",
    }
}
