"""The system calls that a program in the sandbox may make, with their numbers.

A subset of what container engines allow by default a container without capabilities: left out are
tracing, memory and queues that no limit counts (memfd, System V, POSIX, filters of system calls),
what is scarce for all users of a machine (inotify, asynchronous I/O), file handles, and rules of
Landlock. All other calls, also those that a later kernel adds, are refused.

Numbers: Linux 6.12, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h;
a test compares them with the kernel's headers.
"""

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The kernel's name for each architecture (AUDIT_ARCH_...), in the order of the numbers below."""

LAST_KNOWN = 462  # mseal: newer calls do not exist, as on an older kernel

_TABLE = """
# files
read:0:63 write:1:64 open:2: openat:257:56 openat2:437:437 creat:85: close:3:57
close_range:436:436 lseek:8:62 pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 preadv:295:69
pwritev:296:70 preadv2:327:286 pwritev2:328:287 stat:4: fstat:5:80 lstat:6: newfstatat:262:79
statx:332:291 statfs:137:43 fstatfs:138:44 access:21: faccessat:269:48 faccessat2:439:439
readlink:89: readlinkat:267:78 getdents:78: getdents64:217:61 getcwd:79:17 chdir:80:49
fchdir:81:50 mkdir:83: mkdirat:258:34 rmdir:84: rename:82: renameat:264:38 renameat2:316:276
link:86: linkat:265:37 symlink:88: symlinkat:266:36 unlink:87: unlinkat:263:35 mknod:133:
mknodat:259:33 chmod:90: fchmod:91:52 fchmodat:268:53 fchmodat2:452:452 chown:92: fchown:93:55
lchown:94: fchownat:260:54 umask:95:166 utime:132: utimes:235: utimensat:280:88 futimesat:261:
truncate:76:45 ftruncate:77:46 fallocate:285:47 fadvise64:221:223 readahead:187:213
copy_file_range:326:285 msync:26:227 flock:73:32 dup:32:23 dup2:33: dup3:292:24 pipe:22:
pipe2:293:59 getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12
flistxattr:196:13 removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16
# waiting
poll:7: ppoll:271:73 select:23: pselect6:270:72 epoll_create:213: epoll_create1:291:20
epoll_ctl:233:21 epoll_wait:232: epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284:
eventfd2:290:19 signalfd:282: signalfd4:289:74 timerfd_create:283:85 timerfd_settime:286:86
timerfd_gettime:287:87
# memory
brk:12:214 munmap:11:215 mremap:25:216 mprotect:10:226 madvise:28:233 mincore:27:232 mlock:149:228
mlock2:325:284 munlock:150:229 mlockall:151:230 munlockall:152:231 membarrier:324:283
pkey_alloc:330:289 pkey_free:331:290 pkey_mprotect:329:288 remap_file_pages:216:234 mseal:462:462
get_mempolicy:239:236
# processes
fork:57: vfork:58: execve:59:221 execveat:322:281 exit:60:93 exit_group:231:94 wait4:61:260
waitid:247:95 getpid:39:172 getppid:110:173 gettid:186:178 getpgid:121:155 getpgrp:111:
getsid:124:156 setpgid:109:154 setsid:112:157 set_tid_address:218:96 set_robust_list:273:99
get_robust_list:274:100 rseq:334:293 futex:202:98 futex_waitv:449:449 futex_wake:454:454
futex_wait:455:455 futex_requeue:456:456 arch_prctl:158: pidfd_open:434:434 getrusage:98:165
times:100:153 getrlimit:97:163 setrlimit:160:164 getpriority:140:141
ioprio_get:252:31 sched_yield:24:124
sched_getaffinity:204:123 sched_getattr:315:275
sched_getparam:143:121 sched_getscheduler:145:120
sched_get_priority_max:146:125 sched_get_priority_min:147:126
sched_rr_get_interval:148:127 getcpu:309:168 capget:125:90 capset:126:91
landlock_create_ruleset:444:444 landlock_restrict_self:446:446
# users
getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150
getgroups:115:158 setuid:105:146 setgid:106:144 setreuid:113:145 setregid:114:143
setresuid:117:147 setresgid:119:149 setgroups:116:159 setfsuid:122:151 setfsgid:123:152
# signals
rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136
rt_sigtimedwait:128:137 rt_sigsuspend:130:133 rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240
sigaltstack:131:132 kill:62:129 tkill:200:130 tgkill:234:131 pidfd_send_signal:424:424 pause:34:
restart_syscall:219:128
# time
time:201: gettimeofday:96:169 clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115
nanosleep:35:101 alarm:37: getitimer:36:102 setitimer:38:103 timer_create:222:107
timer_settime:223:110 timer_gettime:224:108 timer_getoverrun:225:109 timer_delete:226:111
# sockets
bind:49:200 listen:50:201 accept:43:202 accept4:288:242 connect:42:203 shutdown:48:210
getsockname:51:204 getpeername:52:205 getsockopt:55:209 sendto:44:206 recvfrom:45:207
sendmsg:46:211 recvmsg:47:212 sendmmsg:307:269 recvmmsg:299:243
# machine
uname:63:160 sysinfo:99:179 getrandom:318:278
"""

Numbers = tuple[int | None, int | None]
"""Numbers of one call on each of MACHINES; None where there is no such call."""


def _parse(table: str) -> dict[str, Numbers]:
    calls = {}
    for line in table.splitlines():
        for word in () if line.startswith("#") else line.split():
            name, *numbers = word.split(":")
            calls[name] = tuple(int(number) if number else None for number in numbers)
    return calls


ALLOWED: dict[str, Numbers] = _parse(_TABLE)
"""Calls that are allowed whatever their arguments are."""

CHECKED: dict[str, Numbers] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "fcntl": (72, 25),
    "fdatasync": (75, 83),
    "fsetxattr": (190, 7),
    "fsync": (74, 82),
    "ioctl": (16, 29),
    "ioprio_set": (251, 30),
    "lsetxattr": (189, 6),
    "mmap": (9, 222),
    "personality": (135, 92),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sendfile": (40, 71),
    "setpriority": (141, 140),
    "setsockopt": (54, 208),
    "setxattr": (188, 5),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "splice": (275, 76),
    "sync": (162, 81),
    "sync_file_range": (277, 84),
    "syncfs": (306, 267),
    "tee": (276, 77),
}
"""Calls whose arguments decide, or that are answered in another way; see `seccomp.py`."""


def of_machine(calls: dict[str, Numbers], machine: str) -> dict[str, int]:
    """Numbers by name on that machine, without calls that it does not have."""
    column = list(MACHINES).index(machine)
    return {name: n[column] for name, n in calls.items() if n[column] is not None}
