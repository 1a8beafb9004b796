#!/bin/sh
# run.sh - breaks the core on purpose, one patch at a time: the simulator must notice each.
#
#   run.sh [FOLDER [SEEDS]]      FOLDER: where to build (build/mutants); SEEDS: most fresh seeds (2000)
#
# A mutant that survives is a rule that nobody watches. The patches are named for what is then wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=${1:-build/mutants}
seeds=${2:-2000}
failed=0 died=0

rm -rf "$folder"
mkdir -p "$folder/tree/supervisor" "$folder/tree/test" || exit 1
cp -R common Makefile "$folder/tree/" || exit 1
cp -R supervisor/core "$folder/tree/supervisor/" || exit 1
cp -R test/sim "$folder/tree/test/" || exit 1

build() {
    make -s -C "$folder/tree" VARIANT=m CI= CFLAGS='-O1' build/m/poold-sim >"$folder/make.log" 2>&1
}

# The core as it is must pass, or a dead mutant would prove nothing.
build || { cat "$folder/make.log"; echo "mutants: the core itself does not build"; exit 1; }
"$folder/tree/build/m/poold-sim" --kept test/sim/seeds/kept --from 1 --seeds 100 >"$folder/sim.log" 2>&1 ||
    { tail -5 "$folder/sim.log"; echo "mutants: the core itself breaks a rule"; exit 1; }

for patch in test/mutants/*.patch; do
    name=$(basename "$patch" .patch)
    file=$(sed -n 's,^+++ b/,,p' "$patch")
    cp "$file" "$folder/kept"
    if ! patch -s -d "$folder/tree" -p1 <"$patch" >"$folder/patch.log" 2>&1; then
        echo "STALE     $name: does not apply"
        failed=1
    elif ! build; then
        echo "BROKEN    $name: does not build"
        failed=1
    elif timeout 300 "$folder/tree/build/m/poold-sim" --kept test/sim/seeds/kept --from 1 \
        --seeds "$seeds" >"$folder/sim.log" 2>&1; then
        echo "SURVIVED  $name"
        failed=1
    else
        # How soon, and by which rule; a mutant that hangs is ended by timeout and says neither.
        soon=$(sed -n 's/^FAILED //p' "$folder/sim.log" | head -1)
        rule=$(sed -n 's/^seed.*ms: //p; s/.*Assertion/assertion/p' "$folder/sim.log" | head -1)
        echo "died      $name: ${soon:-it hung}: $rule"
        died=$((died + 1))
    fi
    cp "$folder/kept" "$folder/tree/$file"
    find "$folder/tree/supervisor" -name '*.orig' -o -name '*.rej' | xargs -r rm -f
done
echo "$died mutants died"
exit $failed
