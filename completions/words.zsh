(( $+functions[_jobctl_jobs] )) ||
_jobctl_jobs() {
    local -a jobs=(${(f)"$(_call_program jobs jobctl __complete jobs 2>/dev/null)"})
    compadd -a jobs
}
(( $+functions[_jobctl_runs] )) ||
_jobctl_runs() {
    local -a runs=(${(f)"$(_call_program runs jobctl __complete runs 2>/dev/null)"})
    compadd -V runs -a runs
}
(( $+functions[_jobctl_jobs_and_runs] )) ||
_jobctl_jobs_and_runs() {
    _jobctl_jobs
    _jobctl_runs
}

