//! One layer through core: packed as a model of this one layer, and run from there.

use pupil_tests::cases::vectors::case_on;
use pupil_tests::vectors::{Layer, Vectors};

/// The layer's output on its own input.
///
/// # Errors
/// Tensors or numbers that are missing or do not fit.
pub fn run(vectors: &Vectors, layer: &Layer) -> Result<Vec<i8>, String> {
    if layer.op == "seq" {
        return sequence(vectors, layer);
    }
    let x = vectors.int8(layer, "x")?;
    let second = if layer.tensors.contains_key("x2") {
        vectors.int8(layer, "x2")?
    } else {
        vec![]
    };
    step(vectors, layer, &x, &second)
}

/// Each step reads what the one before has written. A residual adds the sequence's input; a
/// multiplication scales the map that went into the pooling.
fn sequence(vectors: &Vectors, layer: &Layer) -> Result<Vec<i8>, String> {
    let find = |name: &str| {
        let found = vectors.layers.iter().find(|l| l.name == name);
        found.ok_or_else(|| format!("step `{name}` is no layer"))
    };
    let first = layer.steps.first().ok_or("a sequence without steps")?;
    let input = vectors.int8(find(first)?, "x")?;
    let (mut current, mut map) = (input.clone(), input.clone());
    for name in &layer.steps {
        let part = find(name)?;
        current = match part.op.as_str() {
            "add" => step(vectors, part, &input, &current)?,
            "mul_bcast" => step(vectors, part, &map, &current)?,
            "avgpool" | "mean" => {
                map = current;
                step(vectors, part, &map, &[])?
            }
            _ => step(vectors, part, &current, &[])?,
        };
    }
    Ok(current)
}

fn step(vectors: &Vectors, layer: &Layer, x: &[i8], second: &[i8]) -> Result<Vec<i8>, String> {
    let y = case_on(vectors, layer, x, second)?.on_host()?;
    Ok(y.iter().map(|q| *q as i8).collect())
}
