//! Encodes depthwise weights in the row-pair layout of [`pupil_core::op::row_pairs`].

use pupil_core::op::quant::Multiplier;
use pupil_core::op::row_pairs::{Channel, Claims, Form, Kernel};

/// The fastest form whose claims hold for all channels, with the words' bytes; none if no
/// form's do. Weights are natural, `[kh][kw][out_ch]`; `act_min` is the lower clamp, `table`
/// whether a table follows.
pub fn encode(
    claims: &Claims,
    weights: &[u8],
    channels: &[(i32, Multiplier)],
    act_min: i8,
    table: bool,
) -> Option<(Form, Vec<u8>)> {
    let floor = claims.zero_point == -128 && act_min == -128 && !table;
    let fast = Kernel::of(&claims.window, true).filter(|_| floor);
    let forms = [fast, Kernel::of(&claims.window, false)];
    let forms = forms.into_iter().flatten().map(Form::Blocks);
    forms
        .chain([Form::Any])
        .find_map(|form| Some((form, encode_as(form, claims, weights, channels)?)))
}

/// The words' bytes in this form, if its claims hold.
pub fn encode_as(
    form: Form,
    claims: &Claims,
    weights: &[u8],
    channels: &[(i32, Multiplier)],
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if weights.len() != claims.window.kernel_h * claims.window.kernel_w * channels.len() {
        return None;
    }
    for (o, (bias, multiplier)) in channels.iter().enumerate() {
        let weight = |tap: usize| {
            let byte = weights.get(tap * channels.len() + o);
            byte.map_or(0, |b| i32::from(*b as i8))
        };
        let channel = Channel::new(claims, form, *bias, *multiplier, weight)?;
        for i in 0..form.words(&claims.window) {
            bytes.extend(channel.word(i, weight).to_le_bytes());
        }
    }
    Some(bytes)
}
