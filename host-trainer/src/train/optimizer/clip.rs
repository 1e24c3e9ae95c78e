//! Gradient clipping by the norm of all gradients together (Pascanu et al., arXiv 1211.5063,
//! algorithm 1).

/// Σ g², in f64 and in order.
pub fn squared_norm(gradients: &[f32]) -> f64 {
    gradients.iter().map(|g| f64::from(*g).powi(2)).sum()
}

/// What to multiply every gradient by, so that the norm of all is at most `limit`:
/// min(1, limit / √Σ g²). `squares` is the sum of [`squared_norm`] over all tensors.
pub fn clip_factor(squares: f64, limit: f64) -> f32 {
    let norm = squares.sqrt();
    if norm > limit {
        (limit / norm) as f32
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_that_of_all_tensors_and_the_direction_stays() {
        let (a, b) = ([3.0f32, 0.0], [4.0f32]);
        let squares = squared_norm(&a) + squared_norm(&b);
        assert_eq!(squares, 25.0);
        let factor = clip_factor(squares, 2.5);
        assert_eq!([a[0] * factor, b[0] * factor], [1.5, 2.0]);
    }

    #[test]
    fn short_gradients_stay_and_no_gradient_is_no_division_by_zero() {
        assert_eq!(clip_factor(25.0, 5.0), 1.0);
        assert_eq!(clip_factor(0.0, 1.0), 1.0);
        // Not a number stays one: the loss check names the step.
        assert_eq!(clip_factor(f64::NAN, 1.0), 1.0);
    }
}
