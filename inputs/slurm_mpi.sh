#!/usr/bin/env bash
# i-PI and its servers as one MPI program: task 0 is i-PI, every other task a server.  A failing node ends the job.
# Submit it in the folder of i-PI's input: sbatch slurm_mpi.sh.  Submitted again, it goes on from RESTART.
#SBATCH --job-name=beadwise
#SBATCH --ntasks=9
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# What to change; each can also be set by the environment.  Servers and their threads are set above.
input=${INPUT:-input.xml}          # with an <ffmpi mode='mpi'>
checkpoint=${CHECKPOINT:-}         # file of i-PI's <checkpoint>, to go on from where it is newer than RESTART
model=${MODEL:-water}              # what `beadwise serve` takes
want=${WANT:-energy,forces,virial} # properties
again=${AGAIN:-no}                 # yes: queue the job again when the time limit stopped it
launcher=${LAUNCHER:-srun}         # or mpiexec, where the MPI that mpi4py was built with does not know Slurm
mpi=${MPI:-pmix}                   # what srun --mpi takes: `srun --mpi=list` lists what there is

threads=${SLURM_CPUS_PER_TASK:-1}
servers=$((SLURM_NTASKS - 1))
if ((servers < 1)); then
  echo "Error: --ntasks is $SLURM_NTASKS; i-PI and at least one server are needed, so at least 2" >&2
  exit 2
fi

if [[ -e RESTART ]]; then input=RESTART; fi
# RESTART is written when i-PI is stopped, not when its node fails
if [[ -e $checkpoint && ($input != RESTART || $checkpoint -nt RESTART) ]]; then input=$checkpoint; fi
if ! grep -q '<ffmpi' "$input"; then
  echo "Error: $input has no <ffmpi>; one is needed, or slurm_tcp.sh for an <ffsocket>" >&2
  exit 2
fi
rm -f EXIT # would stop i-PI at once

ipi=(beadwise ipi "$input") # as i-pi, but where it fails, the whole job ends
serve=(beadwise serve "$model" --mpi --structure "$input" --want "$want" --threads "$threads")
stopped=no
# shellcheck disable=SC2329 # called by the trap
stop() { # the time limit is near: i-PI finds the file within a second, writes RESTART and tells the servers to end
  stopped=yes
  touch EXIT
}
trap stop TERM

export OMP_NUM_THREADS=$threads
if [[ $launcher == mpiexec ]]; then
  mpiexec -n 1 "${ipi[@]}" : -n "$servers" "${serve[@]}" &
else
  tasks=beadwise-$SLURM_JOB_ID.tasks
  printf '0 %s\n1-%d %s\n' "${ipi[*]}" "$servers" "${serve[*]}" >"$tasks"
  srun --mpi="$mpi" --ntasks="$SLURM_NTASKS" --cpus-per-task="$threads" --kill-on-bad-exit=1 --multi-prog "$tasks" &
fi
program=$!

status=0
wait "$program" || status=$?
if [[ $stopped == yes ]]; then # the signal ended the wait
  status=0
  wait "$program" || status=$?
fi
rm -f EXIT "beadwise-$SLURM_JOB_ID.tasks"

if [[ $stopped == yes && $status == 0 && $again == yes ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
