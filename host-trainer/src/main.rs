//! x
#![recursion_limit = "256"]
use pupil::{*, data::*, stages::*, train::*};
#[global_allocator] static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main(){
 let mut c = config::RunConfig::default(); c.seed = std::env::args().nth(2).map_or(0, |s| s.parse().unwrap());
 if let Ok(t) = std::env::var("CFG") { c = toml::from_str(&t).unwrap(); }
 let data = fashion_mnist::bundled().unwrap();
 let dir = run_dir::RunDir::open(std::path::Path::new(&std::env::args().nth(1).unwrap()), false).unwrap();
 let w = teacher::work(&c,&data)+pseudo_labels::work(&c,&data)+student::work(&c,&data)+distill::work(&c,&data);
 let p = progress::Progress::new(w, false);
 let ctx = Context{config:&c, dir:&dir, data:&data, normalization: batch::Normalization::around(data.mean_pixel()), progress:&p};
 let t = std::time::Instant::now();
 use run_dir::Stage;
 let test = |n:&str, s: Stage| { let (_,net)=ctx.load(s,n).unwrap(); println!("{n} TEST {:.2}  at {:.0}s", 100.*accuracy(&net,&data.test,&ctx.normalization), t.elapsed().as_secs_f64()); };
 if !dir.is_done(Stage::Teacher) { println!("{:?}", teacher::run(&ctx).unwrap()); } test("teacher", Stage::Teacher);
 if !dir.is_done(Stage::PseudoLabels) { println!("{:?}", pseudo_labels::run(&ctx).unwrap()); }
 if !dir.is_done(Stage::Student) { println!("{:?}", student::run(&ctx).unwrap()); } test("student", Stage::Student);
 if !dir.is_done(Stage::Distill) { println!("{:?}", distill::run(&ctx).unwrap()); } test("distilled", Stage::Distill); test("labels-only", Stage::Distill);
}
