#!/usr/bin/env bash
# i-PI on the first node of a job and servers on all of them, joined by TCP; a node may fail without ending the run.
# Submit it in the folder of i-PI's input: sbatch slurm_tcp.sh.  Submitted again, it goes on from RESTART.
#SBATCH --job-name=beadwise
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --no-kill
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# What to change; each can also be set by the environment.  Servers per node and their threads are set above.
input=${INPUT:-input.xml}          # with one <ffsocket>, of any mode: its address, port and timeout are set here
checkpoint=${CHECKPOINT:-}         # file of i-PI's <checkpoint>, to go on from where it is newer than RESTART
model=${MODEL:-water}              # what `beadwise serve` takes
want=${WANT:-energy,forces,virial} # properties
timeout=${TIMEOUT:-60}             # seconds, far longer than one evaluation: then i-PI takes a request back
again=${AGAIN:-no}                 # yes: queue the job again when the time limit stopped it
patience=${PATIENCE:-30}           # seconds that i-PI and the servers have to end after each other

hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
host=${hosts%%$'\n'*} # the first line; a pipe to head may end scontrol by a signal, and with it the script
port=$((20000 + SLURM_JOB_ID % 10000))
threads=${SLURM_CPUS_PER_TASK:-1}
export OMP_NUM_THREADS=$threads

if [[ -e RESTART ]]; then input=RESTART; fi
# RESTART is written when i-PI is stopped, not when its node fails
if [[ -e $checkpoint && ($input != RESTART || $checkpoint -nt RESTART) ]]; then input=$checkpoint; fi
if (($(grep -c '<ffsocket' "$input") != 1)); then
  echo "Error: $input has $(grep -c '<ffsocket' "$input") <ffsocket>; exactly one is needed" >&2
  exit 2
fi
rm -f EXIT # would stop i-PI at once

# i-PI listens on all networks of its node, as the name of a node often means the wrong one on the node itself
own=beadwise-$SLURM_JOB_ID.xml
sed -Ez \
  -e 's/<(address|port|timeout)[^>]*>[^<]*<\/\1>//g' \
  -e "s/(<ffsocket[^>]*) mode *= *['\"][a-z]+['\"]/\1/" \
  -e "s/<ffsocket([^>]*)>/<ffsocket mode='inet'\1><address>0.0.0.0<\/address><port>$port<\/port><timeout>$timeout<\/timeout>/" \
  "$input" >"$own"

stopped=no
# shellcheck disable=SC2329 # called by the trap
stop() { # the time limit is near: i-PI ends the step, writes RESTART and tells the servers to end
  stopped=yes
  kill -TERM "$ipi" 2>/dev/null || true
}
ends_within() { # wait for a process so many seconds, then end it
  local seconds=0
  while kill -0 "$1" 2>/dev/null && ((seconds++ < $2)); do sleep 1; done
  ! kill -TERM "$1" 2>/dev/null
}

OMP_NUM_THREADS=1 beadwise ipi "$own" >>i-pi.log 2>&1 &
ipi=$!
trap stop TERM
# a server that ends, as on a node that fails, ends no other
srun --no-kill --wait=0 --kill-on-bad-exit=0 --cpus-per-task="$threads" \
  beadwise serve "$model" --tcp "$host:$port" --structure "$own" --want "$want" --threads "$threads" &
servers=$!

status=0
wait -n "$ipi" "$servers" || true
if [[ $stopped == yes ]]; then # the signal ended the wait
  ends_within "$ipi" 100 || status=1
elif ! kill -0 "$servers" 2>/dev/null; then # because i-PI has ended; or else it would wait for ever
  ends_within "$ipi" "$patience" || status=1
fi
wait "$ipi" || status=$?
ends_within "$servers" "$patience" || true
wait "$servers" || echo "not all servers ended well" >&2
rm -f "$own"

if [[ $stopped == yes && $status == 0 && $again == yes ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
