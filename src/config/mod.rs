//! shim
use crate::base::{Failure, places::Places};
use std::path::Path;
use std::time::Duration;
pub struct Config { flags: Vec<(String,String)> }
impl Config {
  pub fn load(_: &Places, _: Option<&Path>, flags: &[(String,String)], _: &dyn Fn(&str)->Option<String>) -> Result<Self, Failure> { Ok(Self{flags: flags.to_vec()}) }
  fn flag(&self, k:&str)->Option<&str>{ self.flags.iter().find(|(a,_)|a==k).map(|(_,v)|v.as_str()) }
  pub fn agent(&self)->Option<&str>{None}
  pub fn model(&self)->Option<&str>{None}
  pub fn approve(&self)->Option<&str>{self.flag("approve")}
  pub fn max_turns(&self)->u32{ self.flag("max_turns").and_then(|v|v.parse().ok()).unwrap_or(200)}
  pub fn loop_guard(&self)->u32{24}
  pub fn timeout(&self)->Option<Duration>{ self.flag("timeout").and_then(|v|v.trim_end_matches('s').parse().ok()).map(Duration::from_secs)}
  pub fn connect_timeout(&self)->Duration{Duration::from_secs(10)}
  pub fn first_byte_timeout(&self)->Duration{Duration::from_secs(120)}
  pub fn idle_timeout(&self)->Duration{Duration::from_secs(60)}
  pub fn tool_limits(&self)->crate::tool::Limits{crate::tool::Limits::default()}
}
pub mod trust { use super::*; pub struct Store; impl Store { pub fn load(_:&Places)->Result<Self,Failure>{Ok(Self)} pub fn is_trusted(&self,_:&Path)->Result<bool,Failure>{Ok(false)} } }
