#![no_std]
//! Wire structures of the Augur card.
