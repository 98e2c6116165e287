// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models on their way to and from the predictor, which the learning thread owns:
//! nobody waits for it. A push leaves a checked model for it to install, a pull
//! asks it for a copy and is told to ask again until the copy is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use augur_memory::ContextId;
use augur_predictor::{Model, ModelInfo};

/// Whose model; `None` is the card's.
pub(crate) type Owner = Option<ContextId>;
/// Pushes and pulls that are under way at one time, one for each context.
const UNDER_WAY: usize = 64;

/// A model's file.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub info: ModelInfo,
    pub file: Arc<Vec<u8>>,
}

/// What became of a part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Incomplete,
    Installed,
    Refused(String),
    /// Parts in the wrong order, or too many contexts push.
    Invalid,
}

#[derive(Default)]
struct State {
    /// Parts of files by the context that pushes.
    parts: BTreeMap<ContextId, (Owner, u32, Vec<u8>)>,
    /// To be installed, by the learning thread.
    install: Vec<(Owner, Model)>,
    /// Copies by the context that asked; `None` until it is made.
    copies: BTreeMap<ContextId, (Owner, Option<Copy>)>,
}

/// Models under way.
#[derive(Default)]
pub(crate) struct Models {
    state: Mutex<State>,
}

impl Models {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part of a file of `total` bytes, which was checked to be at most
    /// what a file may have.
    pub fn push(
        &self,
        context: ContextId,
        owner: Owner,
        total: u32,
        offset: u32,
        part: &[u8],
    ) -> Pushed {
        let mut state = self.lock();
        if offset == 0 {
            if state.parts.len() >= UNDER_WAY && !state.parts.contains_key(&context) {
                return Pushed::Invalid;
            }
            state.parts.insert(context, (owner, total, Vec::new()));
        }
        let Some((begun_for, whole, file)) = state.parts.get_mut(&context) else {
            return Pushed::Invalid;
        };
        if *begun_for != owner
            || *whole != total
            || file.len() != offset as usize
            || file.len() + part.len() > total as usize
        {
            state.parts.remove(&context);
            return Pushed::Invalid;
        }
        file.extend_from_slice(part);
        if file.len() < total as usize {
            return Pushed::Incomplete;
        }
        let file = std::mem::take(file);
        state.parts.remove(&context);
        match Model::from_bytes(&file) {
            Ok(model) => {
                self.install_locked(&mut state, owner, model);
                Pushed::Installed
            }
            Err(error) => Pushed::Refused(error.to_string()),
        }
    }

    /// Leaves a model for the learning thread.
    pub fn install(&self, owner: Owner, model: Model) {
        self.install_locked(&mut self.lock(), owner, model);
    }

    fn install_locked(&self, state: &mut State, owner: Owner, model: Model) {
        state.install.retain(|(other, _)| *other != owner);
        state.install.push((owner, model));
    }

    /// Asks for a new copy; `None` while there is none. A copy is handed out once
    /// as new, and continued by [`Models::continue_pull`].
    pub fn pull(&self, context: ContextId, owner: Owner) -> Option<Copy> {
        let mut state = self.lock();
        if let Some((of, Some(copy))) = state.copies.get(&context)
            && *of == owner
        {
            return Some(copy.clone());
        }
        if state.copies.len() < UNDER_WAY || state.copies.contains_key(&context) {
            state.copies.insert(context, (owner, None));
        }
        None
    }

    /// The copy that a pull began with.
    pub fn continue_pull(&self, context: ContextId, owner: Owner) -> Option<Copy> {
        let state = self.lock();
        let (of, copy) = state.copies.get(&context)?;
        copy.clone().filter(|_| *of == owner)
    }

    /// The copy was read to its end.
    pub fn end_pull(&self, context: ContextId) {
        self.lock().copies.remove(&context);
    }

    /// A context is gone.
    pub fn forget(&self, context: ContextId) {
        let mut state = self.lock();
        state.parts.remove(&context);
        state.copies.remove(&context);
        state.install.retain(|(owner, _)| *owner != Some(context));
    }

    /// For the learning thread: models to install.
    pub fn take_installs(&self) -> Vec<(Owner, Model)> {
        std::mem::take(&mut self.lock().install)
    }

    /// For the learning thread: makes the copies that are wanted. `export` answers
    /// an owner's model; the card's stands in for a context without one.
    pub fn make_copies(&self, export: impl Fn(Owner) -> Option<Model>) {
        let wanted: Vec<(ContextId, Owner)> = self
            .lock()
            .copies
            .iter()
            .filter(|(_, (_, copy))| copy.is_none())
            .map(|(&context, &(owner, _))| (context, owner))
            .collect();
        for (context, owner) in wanted {
            let Some(model) = export(owner).or_else(|| export(None)) else {
                continue;
            };
            let file = match model.to_bytes() {
                Ok(file) => Arc::new(file),
                Err(error) => {
                    log::error!("cannot write a model: {error}");
                    continue;
                }
            };
            let copy = Copy {
                info: model.info(),
                file,
            };
            if let Some((of, place)) = self.lock().copies.get_mut(&context)
                && *of == owner
            {
                *place = Some(copy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ContextId = ContextId(1);

    fn push_all(models: &Models, file: &[u8]) -> Pushed {
        let mut last = Pushed::Invalid;
        for (index, part) in file.chunks(1000).enumerate() {
            last = models.push(ME, None, file.len() as u32, index as u32 * 1000, part);
        }
        last
    }

    #[test]
    fn a_model_goes_in_and_out_unchanged() {
        let models = Models::default();
        let model = Model::untrained(3);
        assert_eq!(
            push_all(&models, &model.to_bytes().unwrap()),
            Pushed::Installed
        );
        let installed = models.take_installs();
        assert_eq!(installed.len(), 1);
        assert!(models.pull(ME, None).is_none(), "not made yet");
        models.make_copies(|_| Some(installed[0].1.clone()));
        let copy = models.pull(ME, None).unwrap();
        assert_eq!(copy.info, model.info());
        assert_eq!(Model::from_bytes(&copy.file).unwrap(), model);
        models.end_pull(ME);
        assert!(models.continue_pull(ME, None).is_none());
    }

    #[test]
    fn parts_out_of_order_and_models_that_are_none_are_refused() {
        let models = Models::default();
        assert_eq!(models.push(ME, None, 100, 50, &[0; 50]), Pushed::Invalid);
        assert_eq!(models.push(ME, None, 100, 0, &[0; 50]), Pushed::Incomplete);
        assert_eq!(models.push(ME, None, 90, 50, &[0; 40]), Pushed::Invalid);
        assert!(matches!(push_all(&models, &[7; 2500]), Pushed::Refused(_)));
        let file = Model::untrained(1).to_bytes().unwrap();
        let cut = &file[..file.len() - 4];
        assert!(matches!(push_all(&models, cut), Pushed::Refused(_)));
        assert!(models.take_installs().is_empty());
    }
}
