; Letting Python do what waits while native code runs: signal handlers, and other threads' turns.
; Part of the thread pool's code (threads.ll), whose callers ask while they wait.

declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare ptr @PyObject_CallFunctionObjArgs(ptr, ...)
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_NormalizeException(ptr, ptr, ptr)
declare void @PyErr_Clear()
declare void @Py_DecRef(ptr)

; The processor's own part is appended: @ticks, which counts time in any unit and takes next to none.

@breathe_object = external global i8 ; Python functions (runtime/interrupts.py)
@keep_object = external global i8

; Whether the program whose workspace this is, is to end: because of a report in it, or because a
; signal handler raised. Python is asked by the thread that made the call, number 0, and not more
; often than takes a small part of the time, however long it waits for its turn.
define i64 @tj_poll(ptr %workspace, i64 %thread) {
entry:
  %status = load atomic i64, ptr %workspace monotonic, align 8
  %is_over = icmp ne i64 %status, 0
  br i1 %is_over, label %leave, label %whose
whose:
  %is_caller = icmp eq i64 %thread, 0
  br i1 %is_caller, label %look, label %stay
look:
  %now = call i64 @ticks()
  %due_at = getelementptr i8, ptr %workspace, i64 POLL_DUE
  %due = load i64, ptr %due_at, align 8
  %is_first = icmp eq i64 %due, 0
  br i1 %is_first, label %begin, label %compare
begin:
  %first_due = add i64 %now, POLL_TICKS
  store i64 %first_due, ptr %due_at, align 8
  ret i64 0
compare:
  %is_due = icmp ugt i64 %now, %due
  br i1 %is_due, label %ask, label %stay
ask:
  %is_raised = call i1 @let_python_run()
  %after = call i64 @ticks()
  %taken = sub i64 %after, %now
  %rest = mul i64 %taken, 50
  %more = call i64 @llvm.smax.i64(i64 %rest, i64 POLL_TICKS)
  %next_due = add i64 %after, %more
  store i64 %next_due, ptr %due_at, align 8
  br i1 %is_raised, label %report, label %stay
report:
  %swap = cmpxchg ptr %workspace, i64 0, i64 INTERRUPTED monotonic monotonic, align 8
  br label %leave
leave:
  ret i64 1
stay:
  ret i64 0
}

; Call a Python function that does nothing: before it begins, the interpreter does what waits. What
; that raised is kept for when the program has ended. With or without Python's lock.
define internal i1 @let_python_run() noinline {
entry:
  %type = alloca ptr, align 8
  %value = alloca ptr, align 8
  %trace = alloca ptr, align 8
  %lock = call i32 @PyGILState_Ensure()
  %answer = call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr @breathe_object, ptr null)
  %is_raised = icmp eq ptr %answer, null
  br i1 %is_raised, label %catch, label %drop
drop:
  call void @Py_DecRef(ptr %answer)
  br label %done
catch:
  call void @PyErr_Fetch(ptr %type, ptr %value, ptr %trace)
  call void @PyErr_NormalizeException(ptr %type, ptr %value, ptr %trace)
  %error = load ptr, ptr %value, align 8
  %kind = load ptr, ptr %type, align 8
  %frames = load ptr, ptr %trace, align 8
  %kept = call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr @keep_object, ptr %error, ptr %frames, ptr null)
  call void @Py_DecRef(ptr %kind)
  call void @Py_DecRef(ptr %error)
  call void @Py_DecRef(ptr %frames)
  call void @Py_DecRef(ptr %kept)
  call void @PyErr_Clear()
  br label %done
done:
  call void @PyGILState_Release(i32 %lock)
  ret i1 %is_raised
}

declare i64 @llvm.smax.i64(i64, i64)
