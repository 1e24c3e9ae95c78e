//! A module's numbers as a flat, named list: for checkpoints, weight averages and export.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// One parameter or running statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Path of fields, joined by dots.
    pub name: String,
    /// Dimensions.
    pub dims: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// A tensor's values, row-major.
pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().expect("the tensor is f32")
}

/// All parameters and running statistics of `module`, in field order.
pub fn collect<M: Module>(module: &M) -> Vec<Named> {
    let mut collector = Collector {
        path: Vec::new(),
        list: Vec::new(),
    };
    module.visit(&mut collector);
    collector.list
}

/// `module` with its numbers replaced by `list`, which must have the order of [`collect`].
///
/// # Errors
/// The name of the first entry that is missing or has another shape.
pub fn assign<M: Module>(module: M, list: &[Named]) -> Result<M, String> {
    let mut assigner = Assigner {
        path: Vec::new(),
        list: list.iter(),
        error: None,
    };
    let module = module.map(&mut assigner);
    match assigner.error {
        Some(error) => Err(error),
        None if assigner.list.len() > 0 => Err(format!(
            "{} more entries than the net has",
            assigner.list.len()
        )),
        None => Ok(module),
    }
}

struct Collector {
    path: Vec<String>,
    list: Vec<Named>,
}

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.list.push(Named {
            name: self.path.join("."),
            dims: value.dims().to_vec(),
            values: numbers(value),
        });
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

struct Assigner<'a> {
    path: Vec<String>,
    list: core::slice::Iter<'a, Named>,
    error: Option<String>,
}

impl ModuleMapper for Assigner<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let dims = param.val().dims();
        match self.list.next() {
            Some(entry) if entry.name == name && entry.dims == dims => param.map(|old| {
                let data = TensorData::new(entry.values.clone(), dims);
                let tracked = old.is_require_grad();
                Tensor::from_data(data, &old.device()).set_require_grad(tracked)
            }),
            Some(entry) => {
                self.error.get_or_insert_with(|| {
                    format!(
                        "expected {name} {dims:?}, found {} {:?}",
                        entry.name, entry.dims
                    )
                });
                param
            }
            None => {
                self.error
                    .get_or_insert_with(|| format!("{name} is missing"));
                param
            }
        }
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}
