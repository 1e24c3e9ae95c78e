//! A configuration as a `run.toml` that explains itself: every key with a comment.

use super::RunConfig;

/// The text: `head` as comment lines, then every key in the order of the stages.
///
/// # Errors
/// Never for a configuration that TOML can hold.
pub(crate) fn commented(config: &RunConfig, head: &[String]) -> Result<String, toml::ser::Error> {
    let mut text: String = head.iter().map(|l| format!("# {l}\n")).collect();
    let mut section = String::new();
    for line in toml::to_string(config)?.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            // TOML has no line for a table that only holds others.
            if let Some((stage, _)) = name.split_once('.')
                && !section.starts_with(&format!("{stage}."))
            {
                text += &format!("\n# {}\n", comment(stage));
            }
            section = format!("{name}.");
            let about = comment(name);
            text += &if about.is_empty() {
                format!("\n{line}\n")
            } else {
                format!("\n# {about}\n{line}\n")
            };
        } else if let Some((key, _)) = line.split_once(" = ") {
            text += &format!("# {}\n{line}\n", comment(&format!("{section}{key}")));
        } else if !line.is_empty() {
            text += &format!("{line}\n");
        }
    }
    Ok(text)
}

/// What a key or a table is, in a line; the same words as the fields' own documentation.
fn comment(path: &str) -> &'static str {
    let whole = match path {
        "seed" => "Fixes every random choice: the same seed gives the same packed bytes.",
        "data" => {
            "\"auto\", \"bundled\", or your labeled images: class folders, a .csv or .jsonl list, an archive, IDX or CIFAR files. Relative paths start at this file's folder."
        }
        "method" => {
            "How stage 3 learns: \"noisy-student\", \"uda\", \"fixmatch\", \"pseudo-label\", \"meta-pseudo-labels\" or \"supervised\"."
        }
        "pretext" => {
            "What stage 1 learns from all images before it sees labels: \"none\", \"rotation\" or \"jigsaw\"."
        }
        "init" => {
            "A run directory or checkpoint whose trunk stage 1 begins with, whatever its classes; \"\" for none. A teacher.fit.learning_rate of a tenth keeps more of it."
        }
        "ensemble" => {
            "Nets of stages 1 and 3, each with its own random choices; the net for the chip learns their mean answer."
        }
        "transfer" => "What comes before the labels.",
        "transfer.head_only" => {
            "Whether stage 1 trains the classifier alone and leaves the trunk as it is."
        }
        "images" => "How your own images are read.",
        "images.unlabeled" => {
            "More images, without labels: a folder, list or archive; \"\" for none."
        }
        "images.height" => "Height in pixels that the net sees; 0: chosen by the images.",
        "images.width" => "Width in pixels that the net sees; 0: chosen by the images.",
        "images.channels" => "1 grey, 3 RGB; 0: chosen by the images.",
        "images.fit" => {
            "Another aspect ratio: \"crop\" to the middle, or \"letterbox\" with grey bars."
        }
        "images.validation" => {
            "Share of the labeled images watched during training, where the set has no validation folder."
        }
        "images.test" => {
            "Share of the labeled images measured at the end, where the set has no test folder."
        }
        "images.labels_per_class" => {
            "Training images of a class that keep their label; the others become unlabeled. 0: all."
        }
        "teacher" => "Stage 1: a net on the labeled images alone.",
        "pseudo_labels" => "Stage 2: what the teacher says about unlabeled images.",
        "pseudo_labels.threshold" => {
            "Images whose most probable class is less probable than this are left out."
        }
        "pseudo_labels.balance" => "Whether every class gets as many images as the others.",
        "student" => "Stage 3: an equal or larger net on labels and unlabeled images.",
        "student.rounds" => {
            "Students one after the other; from the second on by noisy-student from the one before."
        }
        "student.later_steps" => {
            "Steps of the second and later rounds; 0 for as many as the first."
        }
        "student.warm_start" => {
            "Whether the first round goes on from the teacher's weights; the nets must be equal."
        }
        "student.weak" => {
            "Changes to the unlabeled images that uda, fixmatch and meta-pseudo-labels take targets from."
        }
        "methods" => "Constants of the methods.",
        "methods.pseudo_label" => "Pseudo-Label (Lee 2013).",
        "methods.pseudo_label.alpha" => "Final weight of the unlabeled images.",
        "methods.pseudo_label.ramp" => "Shares of the steps between which the weight rises.",
        "methods.uda" => {
            "UDA (arXiv 1904.12848); meta-pseudo-labels' teacher takes weight, temperature and confidence."
        }
        "methods.uda.weight" | "methods.fixmatch.weight" => "Weight of the unlabeled images.",
        "methods.uda.temperature" => "Sharpens the targets; 1 leaves them.",
        "methods.uda.confidence" => "Targets less probable than this are left out.",
        "methods.fixmatch.confidence" => "Targets less probable than this are left out.",
        "methods.uda.annealing" => {
            "Labeled images that the net is sure of are left out for a while: \"none\", \"linear\", \"exponential\" or \"logarithmic\"."
        }
        "methods.fixmatch" => "FixMatch (arXiv 2001.07685).",
        "methods.meta_pseudo_labels" => "Meta Pseudo Labels (arXiv 2003.10580).",
        "methods.meta_pseudo_labels.feedback" => {
            "How the teacher hears about its student: \"reinforce\", \"soft-exact\", or \"paper-code\", whose gradient is zero."
        }
        "methods.meta_pseudo_labels.weight" => "Weight of what the teacher hears.",
        "methods.meta_pseudo_labels.baseline" => "Decay of the mean that it is compared with.",
        "methods.meta_pseudo_labels.clip" => "Its limit of either sign; 0 for none.",
        "methods.meta_pseudo_labels.uda_ramp" => {
            "Share of the steps over which the teacher's UDA loss rises."
        }
        "methods.meta_pseudo_labels.fine_tune" => "Share of the steps at the end on labels alone.",
        "student.unlabeled_ratio" => "Unlabeled images of a batch for each labeled one.",
        "distill" => "Stage 4: the net for the chip, taught by the student on all images.",
        "distill.temperature" => "Softens both answers.",
        "distill.views" => {
            "Views of each image whose mean answer is taught; 0: the answer to the very image that the small net sees."
        }
        "distill.labels_only" => {
            "The same net on the labels alone: the baseline of the final table."
        }
        "distill.labels_only_augment" => "Changes to the baseline's images.",
        "quantize" => "Stage 5: int8.",
        "quantize.calibration_images" => "Training images whose activations set the ranges.",
        "quantize.clip" => {
            "Share of each activation's values that the range leaves out at either end."
        }
        "quantize.max_drop" => {
            "Most points of test accuracy that int8 may lose; more ends with exit code 1."
        }
        "pack" => "Stage 6: the packed student.",
        "pack.schedule" => {
            "How layers run: \"layer-by-layer\" (fastest), \"within\" the bytes of the next key, or \"smallest\"."
        }
        "pack.arena" => "Bytes of RAM for the arena, where schedule is \"within\".",
        "pack.frame_by_rows" => {
            "Whether the student may read a frame row by row, as a camera delivers it."
        }
        _ => "",
    };
    if !whole.is_empty() {
        return whole;
    }
    match path.rsplit('.').next().unwrap_or(path) {
        "net" => "The net.",
        "fit" => "Its training.",
        "augment" => "Changes to its images; kind is \"none\", \"weak\" or \"strong\".",
        "rand_augment" => "RandAugment's operations.",
        "family" => {
            "\"tiny\", which the next four keys shape, or a published net: \"b0\" to \"b7\", \"lite0\" to \"lite4\"."
        }
        "stem_stride" => {
            "Stride of the first convolution: 2, or 1 for small images at four times the work."
        }
        "small_images" => {
            "Whether a published net keeps stride 1 in its second and third stage, for about 32 pixels."
        }
        "width" => "Channels, relative to the family's base net.",
        "depth" => "Blocks of each stage, relative to the base net.",
        "expand_ratio" => "Expanded over input channels in every block.",
        "activation" => "Non-linearity of convolutions: silu, relu, relu6 or hard-swish.",
        "steps" => "Updates of the weights.",
        "batch" => "Images of a step, labeled and unlabeled together.",
        "learning_rate" => "Peak learning rate, behind the warm-up.",
        "warmup" => "Share of the steps over which the rate rises to its peak.",
        "schedule" => {
            "How it falls: \"cosine\", \"cosine-seven-sixteenths\", \"exponential-staircase\" or \"constant\"."
        }
        "optimizer" => {
            "\"adamw\", \"sgd\" (Nesterov; rates of about 0.05) or \"rmsprop\" (TensorFlow's)."
        }
        "align" => "Whether predictions are aligned with the labels' distribution.",
        "target_pass" => {
            "Targets by \"batch\" statistics under noise, as the papers' code, by \"running\" ones, a third of the work, or by the moving \"average\" of the weights."
        }
        "momentum" => "Momentum of sgd and rmsprop.",
        "weight_decay" => "AdamW's decoupled weight decay, an L2 penalty of the others.",
        "clip" => "Largest norm of all gradients together; 0 for no limit.",
        "mixup" => "Labeled images mixed in pairs: alpha, usually 0.2; 0 for none.",
        "cutmix" => "Rectangles exchanged between labeled images: alpha, usually 1; 0 for none.",
        "ema" => "Decay of the weights' moving average.",
        "label_smoothing" => "Share of label mass spread over all classes.",
        "dropout" => "Dropout before the classifier.",
        "drop_path" => "Stochastic depth of the last block.",
        "kind" => "\"none\", \"weak\" or \"strong\".",
        "shift" => "Most pixels of shift in each direction.",
        "flip" => "Whether left and right may be exchanged: false for text and for signs.",
        "cutout" => "Side of a blanked square in pixels; 0 for none.",
        "operations" => "Operations of an image.",
        "magnitude" => "Strength is drawn from this range, of 30.",
        "increasing" => {
            "Whether a greater strength is always a greater change; false: the reference code."
        }
        "bilinear" => {
            "Whether turned and shifted images are blended from four pixels; false: the nearest one."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_written_with_a_comment_and_reads_back() {
        let config = RunConfig::default();
        let text = commented(&config, &["A test.".to_owned()]).unwrap();
        assert!(text.contains("# Stage 1: a net") && text.contains("# Stage 4: the net for"));
        let bare: Vec<&str> = text.lines().filter(|l| l.trim() == "#").collect();
        assert!(bare.is_empty());
        let mut before = "";
        for line in text.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                // A missing comment: name the key in `comment`.
                assert!(
                    before.len() > 3 && before.starts_with("# "),
                    "no comment on `{line}`"
                );
            }
            before = line;
        }
        assert_eq!(
            crate::config::check::parse("run.toml", &text).unwrap(),
            config
        );
    }
}
