; The thread pool's platform part where there is none: no worker ever starts, so nobody waits.

define internal i64 @clock() {
entry:
  ret i64 0
}

define internal void @yield() {
entry:
  ret void
}

define internal void @park(ptr %word, i32 %expected) {
entry:
  ret void
}

define internal void @nap(ptr %word, i32 %expected) {
entry:
  ret void
}

define internal void @unpark(ptr %word, i32 %count) {
entry:
  ret void
}

define internal void @prepare() {
entry:
  ret void
}

; Processors are left to the system.
define internal void @spread(i64 %workers) {
entry:
  ret void
}

define internal void @keep_apart(i64 %workers) {
entry:
  ret void
}

define internal i1 @start(ptr %argument, i64 %number) {
entry:
  ret i1 false
}
