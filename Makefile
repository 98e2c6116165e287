# What there is to do here; `make` lists it.
#
# Everything that is built or fetched goes below target/. A fresh machine needs
# rustup's toolchain; images/prepare brings the rest, and names each step that
# needs root before it takes it.

CARGO ?= cargo
AUGUR := target/release/augur

.DEFAULT_GOAL := help
.PHONY: help run test check shell guest guest-test driver-test driver-debug stress debug-kernel fuzz bench bench-peers doctor clean prepare augur dkms-deb python-wheel image-debian

help: ## list what there is to do
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: augur ## run the main job on the card (IMAGE=my.png for another image)
	@$(AUGUR) run $(if $(IMAGE),--image "$(IMAGE)")

test: ## unit, contract and end-to-end tests; the last boot guests
	@images/prepare test
	@$(CARGO) test --workspace

check: augur ## formats, lints and documentation, with warnings as errors
	@images/check/run

shell: augur ## open a shell in a guest with the card, its driver and tools
	@$(AUGUR) shell

guest: augur ## run one command in a guest: make guest CMD='augur-smi'
	@$(AUGUR) guest -- sh -c '$(subst ','\'',$(CMD))'

guest-test: augur ## run tests of the guest by name: make guest-test TEST='smoke mmap'; none lists them
	@$(AUGUR) guest -- augur-test $(or $(TEST),--list)

driver-test: augur ## compile the driver, load it in a guest, run its smoke test
	@$(AUGUR) driver-test

driver-debug: augur ## boot a guest that gdb attaches to, and print the command
	@$(AUGUR) driver-debug

stress: prepare ## ten minutes of reloads, resets, removals and kills in a guest
	@$(CARGO) test -p augur-e2e --test stress -- --ignored --nocapture

debug-kernel: prepare ## build a kernel with KASAN, lockdep and kmemleak, run the driver's tests on it
	@$(CARGO) test -p augur-e2e --test debug_kernel -- --ignored --test-threads 1 --nocapture

fuzz: ## feed the driver's pure parts random input for a minute (SECONDS=…)
	@$(MAKE) --no-print-directory -C guest-driver/kernel fuzz FUZZ_SECONDS=$(or $(SECONDS),60)

dkms-deb: ## make the driver's Debian package (DKMS), below target/dkms
	@images/dkms/build target/dkms

python-wheel: prepare ## make the Python package's wheel, below target/python
	@$(CARGO) rustc --quiet --release -p libaugur --lib --crate-type cdylib
	@guest-driver/python/build target/release/libaugur.so target/python

image-debian: prepare ## make a Debian disk image with the driver's package installed
	@images/debian-guest/make

bench: augur ## measure the card (BENCH='schedule --help' for another benchmark)
	@$(AUGUR) bench $(or $(BENCH),card)

bench-peers: augur ## run the scheduler's programs on libgomp, StarPU and TBB beside it
	@$(AUGUR) bench peers

doctor: augur ## say what this machine lacks, and the command that mends it
	@$(AUGUR) doctor

clean: ## remove everything that was built or fetched
	@rm -rf target

# A C compiler to link with, and what unpacks the tool root.
prepare:
	@images/prepare

augur: prepare
	@images/progress "launcher and card" $(CARGO) build --release --bins -p augur -p augurd
