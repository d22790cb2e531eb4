; The call: find the signature that fits the arguments, allocate the outputs, run, build the result.
;
; A jitted function's table holds a list of entries (newest first, those for every size last), one per
; signature. An entry is a program of records, which check one argument (or one item of a container)
; each and leave what the executable wants to know in a frame: pointers to payloads, symbols, borrowed
; objects. All of these are laid out by entry.py; structures.py gives the numbers for the $names here.
; "%p[name]" is the address $name bytes from %p.
;
; Everything runs under the global lock, except the executable itself where its plan says so. Any
; call into Python may run this very function again and publish or retire entries of the same table:
; a retired entry's memory lives until the table's count of active calls is zero.

@ndarray_type = external global i8
@list_type = external global i8
@tuple_type = external global i8
@dict_type = external global i8
@int_type = external global i8
@bool_type = external global i8
@str_type = external global i8
@true_object = external global i8
@false_object = external global i8

declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_CallFunctionObjArgs(ptr, ...)
declare i32 @PyObject_RichCompareBool(ptr, ptr, i32)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyLong_FromLongLong(i64)
declare i64 @PyDict_Size(ptr)
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare ptr @PyObject_GenericGetDict(ptr, ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyComplex_FromDoubles(double, double)
declare ptr @PyTuple_New(i64)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare ptr @PyList_New(i64)
declare ptr @PyDict_New()
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_Occurred()
declare ptr @PyErr_NoMemory()
declare ptr @PyMem_Malloc(i64)
declare void @PyMem_Free(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyArray_Scalar(ptr, ptr, ptr)
declare ptr @tj_acquire(i64)
declare void @tj_release(ptr, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare {i64, i1} @llvm.umul.with.overflow.i64(i64, i64)


; CPython's vectorcall protocol. Calls nothing was compiled for go to the table's Python function.
define ptr @tj_call(ptr %self, ptr %arguments, i64 %counts, ptr %names) {
start:
  %fixed = alloca [$frame.fixed x i8], align 16
  %table = load ptr, ptr %self[native.table]
  %count = and i64 %counts, 9223372036854775807
  %unnamed = icmp eq ptr %names, null
  br i1 %unnamed, label %ready, label %count_names
count_names:
  %size = load i64, ptr %names[tuple.size]
  br label %ready
ready:
  %named = phi i64 [0, %start], [%size, %count_names]
  %active = load i64, ptr %table[table.active]
  %more = add i64 %active, 1
  store i64 %more, ptr %table[table.active]
  %bytes = load i64, ptr %table[table.frame_bytes]
  %large = icmp ugt i64 %bytes, $frame.fixed
  br i1 %large, label %allocate, label %search
allocate:
  %block = call ptr @PyMem_Malloc(i64 %bytes)
  %none = icmp eq ptr %block, null
  br i1 %none, label %no_memory, label %search
search:
  %frame = phi ptr [%fixed, %ready], [%block, %allocate]
  %capacity = phi i64 [$frame.fixed, %ready], [%bytes, %allocate]
  store i64 %capacity, ptr %frame[frame.capacity]
  %entry = call ptr @find(ptr %table, ptr %frame, ptr %arguments, i64 %count, ptr %names, i64 %named)
  %missed = icmp eq ptr %entry, null
  br i1 %missed, label %leave, label %hit
hit:
  %hits = load i64, ptr %entry[entry.hits]
  %hits.more = add i64 %hits, 1
  store i64 %hits.more, ptr %entry[entry.hits]
  %made = call ptr @execute(ptr %entry, ptr %frame)
  call void @forget(ptr %entry, ptr %frame)
  br label %leave
leave:
  %result = phi ptr [null, %search], [%made, %hit]
  br i1 %large, label %deallocate, label %left
deallocate:
  call void @PyMem_Free(ptr %frame)
  br label %left
left:
  %active.now = load i64, ptr %table[table.active]
  %less = sub i64 %active.now, 1
  store i64 %less, ptr %table[table.active]
  br i1 %missed, label %python, label %ended
ended:
  %given = icmp ne ptr %result, null
  br i1 %given, label %done, label %failed
failed:
  ; Without an exception: the error callback leaves the call to Python.
  %exception = call ptr @PyErr_Occurred()
  %declined = icmp eq ptr %exception, null
  br i1 %declined, label %python, label %done
done:
  ret ptr %result
python:
  %answer = call ptr @call_python(ptr %self, ptr %table, ptr %arguments, i64 %counts, ptr %names, i64 %named)
  ret ptr %answer
no_memory:
  %active.then = load i64, ptr %table[table.active]
  %less.then = sub i64 %active.then, 1
  store i64 %less.then, ptr %table[table.active]
  %raised = call ptr @PyErr_NoMemory()
  ret ptr null
}

; The Python function, with self in front of the arguments: in the spare word before them where the
; caller offers it (the top bit of %counts), else in a copy. It is always a function written in Python.
define internal ptr @call_python(ptr %self, ptr %table, ptr %arguments, i64 %counts, ptr %names, i64 %named) {
start:
  %function = load ptr, ptr %table[table.python]
  %count = and i64 %counts, 9223372036854775807
  %count.self = add i64 %count, 1
  %spare = icmp slt i64 %counts, 0
  br i1 %spare, label %in_place, label %copy
in_place:
  %before = getelementptr i8, ptr %arguments, i64 -8
  %saved = load ptr, ptr %before
  store ptr %self, ptr %before
  %answer = call ptr @PyObject_Vectorcall(ptr %function, ptr %before, i64 %count.self, ptr %names)
  store ptr %saved, ptr %before
  ret ptr %answer
copy:
  %total = add i64 %count, %named
  %bytes = shl i64 %total, 3
  %bytes.self = add i64 %bytes, 8
  %block = call ptr @PyMem_Malloc(i64 %bytes.self)
  %none = icmp eq ptr %block, null
  br i1 %none, label %no_memory, label %call
call:
  store ptr %self, ptr %block
  call void @llvm.memcpy.p0.p0.i64(ptr %block[8], ptr %arguments, i64 %bytes, i1 false)
  %copied = call ptr @PyObject_Vectorcall(ptr %function, ptr %block, i64 %count.self, ptr %names)
  call void @PyMem_Free(ptr %block)
  ret ptr %copied
no_memory:
  %raised = call ptr @PyErr_NoMemory()
  ret ptr null
}

; The entry that fits, with the frame filled, or null. Tables with several entries remember, in a
; two-way cache indexed by a hash of what the arguments look like, which entry served such a call.
; The cache only orders the attempts: a wrong guess costs time, nothing else.
define internal ptr @find(ptr %table, ptr %frame, ptr %arguments, i64 %count, ptr %names, i64 %named) {
start:
  %sets = load ptr, ptr %table[table.sets]
  %first = load ptr, ptr %table[table.entries]
  %plain = icmp eq ptr %sets, null
  br i1 %plain, label %walk, label %hashed
hashed:
  %hash = call i64 @look(ptr %table, ptr %arguments, i64 %count, i64 %named)
  %index = lshr i64 %hash, $set.shift
  %offset = mul i64 %index, $set.size
  %set = getelementptr i8, ptr %sets, i64 %offset
  br label %way
way:
  %way.offset = phi i64 [0, %hashed], [$way.size, %next_way]
  %way.at = getelementptr i8, ptr %set, i64 %way.offset
  %tag = load i64, ptr %way.at[way.hash]
  %guess = load ptr, ptr %way.at[way.entry]
  %tagged = icmp eq i64 %tag, %hash
  %present = icmp ne ptr %guess, null
  %try = and i1 %tagged, %present
  br i1 %try, label %try_guess, label %next_way
try_guess:
  %guessed = call i1 @match(ptr %guess, ptr %frame, ptr %arguments, i64 %count, ptr %names, i64 %named)
  br i1 %guessed, label %remembered, label %wrong_guess
remembered:
  ret ptr %guess
wrong_guess:
  call void @forget(ptr %guess, ptr %frame)
  br label %next_way
next_way:
  %last = icmp eq i64 %way.offset, $way.size
  br i1 %last, label %walk, label %way

walk:
  %remember = phi ptr [null, %start], [%set, %next_way]
  %tag.new = phi i64 [0, %start], [%hash, %next_way]
  br label %visit
visit:
  %entry = phi ptr [%first, %walk], [%next, %mismatch]
  %end = icmp eq ptr %entry, null
  br i1 %end, label %missed, label %try_entry
try_entry:
  %fits = call i1 @match(ptr %entry, ptr %frame, ptr %arguments, i64 %count, ptr %names, i64 %named)
  br i1 %fits, label %found, label %mismatch
mismatch:
  call void @forget(ptr %entry, ptr %frame)
  %next = load ptr, ptr %entry[entry.next]
  br label %visit
missed:
  ret ptr null
found:
  %dead = load i64, ptr %entry[entry.dead]
  %alive = icmp eq i64 %dead, 0
  %wanted = icmp ne ptr %remember, null
  %keep = and i1 %alive, %wanted
  br i1 %keep, label %learn, label %return
learn:
  %old.tag = load i64, ptr %remember[way.hash]
  %old.entry = load ptr, ptr %remember[way.entry]
  store i64 %tag.new, ptr %remember[way.hash]
  store ptr %entry, ptr %remember[way.entry]
  %second = getelementptr i8, ptr %remember, i64 $way.size
  store i64 %old.tag, ptr %second[way.hash]
  store ptr %old.entry, ptr %second[way.entry]
  br label %return
return:
  ret ptr %entry
}

; A hash of the arguments' types, arrays' dtypes and shapes, and of containers' first items.
define internal i64 @look(ptr %table, ptr %arguments, i64 %count, i64 %named) {
start:
  %position = alloca i64
  %value = alloca ptr
  %hash_ints = load i64, ptr %table[table.hash_ints]
  %total = add i64 %count, %named
  %seed = mul i64 %total, $hash.factor
  br label %argument
argument:
  %index = phi i64 [0, %start], [%index.next, %mixed]
  %hash = phi i64 [%seed, %start], [%hash.next, %mixed]
  %more = icmp ult i64 %index, %total
  br i1 %more, label %visit, label %done
done:
  ret i64 %hash
visit:
  %argument.at = getelementptr ptr, ptr %arguments, i64 %index
  %outer = load ptr, ptr %argument.at
  br label %object
object:
  %object.at = phi ptr [%outer, %visit], [%item, %inside]
  %depth = phi i64 [0, %visit], [%depth.next, %inside]
  %hash.in = phi i64 [%hash, %visit], [%hash.inside, %inside]
  %type = load ptr, ptr %object.at[object.type]
  %is_array = icmp eq ptr %type, @ndarray_type
  br i1 %is_array, label %array, label %other

array:
  %descr = load i64, ptr %object.at[array.descr]
  %with_descr = xor i64 %hash.in, %descr
  %array.hash = mul i64 %with_descr, $hash.factor
  %shape = load ptr, ptr %object.at[array.shape]
  %rank.int = load i32, ptr %object.at[array.rank]
  %rank = zext i32 %rank.int to i64
  br label %axis
axis:
  %axis.index = phi i64 [0, %array], [%axis.next, %extent]
  %axis.hash = phi i64 [%array.hash, %array], [%extent.hash, %extent]
  %axes = icmp ult i64 %axis.index, %rank
  br i1 %axes, label %extent, label %mixed
extent:
  %extent.at = getelementptr i64, ptr %shape, i64 %axis.index
  %extent.value = load i64, ptr %extent.at
  %with_extent = xor i64 %axis.hash, %extent.value
  %extent.hash = mul i64 %with_extent, $hash.factor
  %axis.next = add i64 %axis.index, 1
  br label %axis

other:
  %type.number = ptrtoint ptr %type to i64
  %with_type = xor i64 %hash.in, %type.number
  %type.hash = mul i64 %with_type, $hash.factor
  %is_int = icmp eq ptr %type, @int_type
  br i1 %is_int, label %int, label %not_int
int:
  %digit.int = load i32, ptr %object.at[int.digit]
  %digit = zext i32 %digit.int to i64
  %digit.used = mul i64 %digit, %hash_ints
  br label %word
not_int:
  %is_str = icmp eq ptr %type, @str_type
  %is_bool = icmp eq ptr %type, @bool_type
  %is_one = or i1 %is_str, %is_bool
  br i1 %is_one, label %identity, label %not_one
identity:
  %object.number = ptrtoint ptr %object.at to i64
  br label %word
word:
  %number = phi i64 [%digit.used, %int], [%object.number, %identity]
  %with_number = xor i64 %type.hash, %number
  %number.hash = mul i64 %with_number, $hash.factor
  br label %mixed

not_one:
  %deep = icmp ugt i64 %depth, $hash.depth
  br i1 %deep, label %mixed, label %container
container:
  %is_tuple = icmp eq ptr %type, @tuple_type
  br i1 %is_tuple, label %tuple, label %not_tuple
tuple:
  %tuple.items = getelementptr i8, ptr %object.at, i64 $tuple.items
  br label %sequence
not_tuple:
  %is_list = icmp eq ptr %type, @list_type
  br i1 %is_list, label %list, label %not_list
list:
  %list.items = load ptr, ptr %object.at[list.items]
  br label %sequence
sequence:
  %items = phi ptr [%tuple.items, %tuple], [%list.items, %list]
  %length = load i64, ptr %object.at[tuple.size]
  %sequence.empty = icmp eq i64 %length, 0
  br i1 %sequence.empty, label %mixed, label %first
first:
  %first.item = load ptr, ptr %items
  br label %inside
not_list:
  %is_dict = icmp eq ptr %type, @dict_type
  br i1 %is_dict, label %dict, label %mixed
dict:
  store i64 0, ptr %position
  %found = call i32 @PyDict_Next(ptr %object.at, ptr %position, ptr null, ptr %value)
  %dict.empty = icmp eq i32 %found, 0
  br i1 %dict.empty, label %mixed, label %dict_first
dict_first:
  %dict.item = load ptr, ptr %value
  %dict.length = call i64 @PyDict_Size(ptr %object.at)
  br label %inside
inside:
  %item = phi ptr [%first.item, %first], [%dict.item, %dict_first]
  %item.count = phi i64 [%length, %first], [%dict.length, %dict_first]
  %with_count = xor i64 %type.hash, %item.count
  %hash.inside = mul i64 %with_count, $hash.factor
  %depth.next = add i64 %depth, 1
  br label %object

mixed:
  %hash.next = phi i64 [%axis.hash, %axis], [%number.hash, %word], [%type.hash, %not_one], [%type.hash, %sequence], [%type.hash, %not_list], [%type.hash, %dict]
  %index.next = add i64 %index, 1
  br label %argument
}

; Run one entry's program of records. True: every record agreed. The frame then holds the pointers
; to the leaves' payloads, the leaf objects, the symbols, and references to what came out of lists
; and dicts, which nothing else may keep alive. Those are there after a mismatch, too: call @forget.
define internal i1 @match(ptr %entry, ptr %frame, ptr %arguments, i64 %count, ptr %names, i64 %named) {
start:
  %overflow = alloca i32
  %position = alloca i64
  %key = alloca ptr
  %value = alloca ptr
  store i64 0, ptr %frame[frame.owned]
  %expected.count = load i64, ptr %entry[entry.arguments]
  %expected.named = load i64, ptr %entry[entry.keywords]
  %count.same = icmp eq i64 %count, %expected.count
  %named.same = icmp eq i64 %named, %expected.named
  ; An entry that was published after this call began may need a larger frame than this call has.
  %capacity = load i64, ptr %frame[frame.capacity]
  %frame.bytes = load i64, ptr %entry[entry.frame_bytes]
  %frame.fits = icmp ule i64 %frame.bytes, %capacity
  %counts.same = and i1 %count.same, %named.same
  %may_fit = and i1 %counts.same, %frame.fits
  br i1 %may_fit, label %prepare, label %mismatch
prepare:
  store ptr %arguments, ptr %frame[frame.positional]
  %keyword.at = getelementptr ptr, ptr %arguments, i64 %count
  store ptr %keyword.at, ptr %frame[frame.keywords]
  %symbols.offset = load i64, ptr %entry[entry.symbols]
  %symbols = getelementptr i8, ptr %frame, i64 %symbols.offset
  %symbol.bytes = load i64, ptr %entry[entry.symbol_bytes]
  %no_symbols = icmp eq i64 %symbol.bytes, 0
  %program = load ptr, ptr %entry[entry.program]
  br i1 %no_symbols, label %run, label %unbind
unbind:
  call void @llvm.memset.p0.i64(ptr %symbols, i8 -1, i64 %symbol.bytes, i1 false)
  br label %run
run:
  br label %step
step:
  %record = phi ptr [%program, %run], [%record.next, %next]
  %kind = load i64, ptr %record[record.kind]
  %whole = icmp ule i64 %kind, $kind.last_whole
  br i1 %whole, label %whole_call, label %fetch
next:
  %record.next = getelementptr i8, ptr %record, i64 $record.size
  br label %step
mismatch:
  ret i1 false

; Records about the call as a whole.
whole_call:
  switch i64 %kind, label %mismatch [
    i64 $kind.end, label %matched
    i64 $kind.guard, label %guard
    i64 $kind.names, label %check_names
    i64 $kind.cell, label %cell
    i64 $kind.items, label %kept
    i64 $kind.size, label %entries
    i64 $kind.apart, label %apart
    i64 $kind.word, label %word
  ]
matched:
  ret i1 true

guard:
  %guard.dict = load ptr, ptr %record[guard.dict]
  %guard.key = load ptr, ptr %record[guard.key]
  %guard.value = load ptr, ptr %record[guard.value]
  %guard.now = call ptr @PyDict_GetItemWithError(ptr %guard.dict, ptr %guard.key)
  %guard.holds = icmp eq ptr %guard.now, %guard.value
  br i1 %guard.holds, label %next, label %clear

; A closure's variable.
cell:
  %cell.object = load ptr, ptr %record[watched.object]
  %cell.value = load ptr, ptr %record[watched.value]
  %cell.now = load ptr, ptr %cell.object[cell.contents]
  %cell.holds = icmp eq ptr %cell.now, %cell.value
  br i1 %cell.holds, label %next, label %mismatch

; A number that is as it was, somewhere in memory.
word:
  %word.at = load ptr, ptr %record[watched.object]
  %word.expected = load i64, ptr %record[watched.value]
  %word.now = load i64, ptr %word.at
  %word.holds = icmp eq i64 %word.now, %word.expected
  br i1 %word.holds, label %next, label %mismatch

; A dict that has as many keys as it had.
entries:
  %entries.object = load ptr, ptr %record[watched.object]
  %entries.count = load i64, ptr %record[watched.count]
  %entries.now = call i64 @PyDict_Size(ptr %entries.object)
  %entries.hold = icmp eq i64 %entries.now, %entries.count
  br i1 %entries.hold, label %next, label %mismatch

; Two arrays, one of which is written, must not overlap.
apart:
  %apart.first.offset = load i64, ptr %record[pair.first]
  %apart.first.at = getelementptr i8, ptr %frame, i64 %apart.first.offset
  %apart.first = load ptr, ptr %apart.first.at
  %apart.first.size = load i64, ptr %record[pair.first_size]
  %apart.second.offset = load i64, ptr %record[pair.second]
  %apart.second.at = getelementptr i8, ptr %frame, i64 %apart.second.offset
  %apart.second.leaf = load ptr, ptr %apart.second.at
  %apart.fixed = load ptr, ptr %record[pair.fixed]
  %apart.is_leaf = icmp eq ptr %apart.fixed, null
  %apart.second = select i1 %apart.is_leaf, ptr %apart.second.leaf, ptr %apart.fixed
  %apart.second.size = load i64, ptr %record[pair.second_size]
  %apart.first.span = call { i64, i64 } @span(ptr %apart.first, i64 %apart.first.size)
  %apart.second.span = call { i64, i64 } @span(ptr %apart.second, i64 %apart.second.size)
  %apart.first.low = extractvalue { i64, i64 } %apart.first.span, 0
  %apart.first.high = extractvalue { i64, i64 } %apart.first.span, 1
  %apart.second.low = extractvalue { i64, i64 } %apart.second.span, 0
  %apart.second.high = extractvalue { i64, i64 } %apart.second.span, 1
  %apart.before = icmp ule i64 %apart.first.high, %apart.second.low
  %apart.after = icmp ule i64 %apart.second.high, %apart.first.low
  %apart.holds = or i1 %apart.before, %apart.after
  br i1 %apart.holds, label %next, label %mismatch

; A list that the program relies on.
kept:
  %kept.object = load ptr, ptr %record[watched.object]
  %kept.expected = load ptr, ptr %record[watched.value]
  %kept.count = load i64, ptr %record[watched.count]
  %kept.size = load i64, ptr %kept.object[list.size]
  %kept.items = load ptr, ptr %kept.object[list.items]
  %kept.same = icmp eq i64 %kept.size, %kept.count
  br i1 %kept.same, label %kept_item, label %mismatch
kept_item:
  %kept.index = phi i64 [0, %kept], [%kept.next, %kept_compare]
  %kept.more = icmp ult i64 %kept.index, %kept.count
  br i1 %kept.more, label %kept_compare, label %next
kept_compare:
  %kept.at = getelementptr ptr, ptr %kept.items, i64 %kept.index
  %kept.expected.at = getelementptr ptr, ptr %kept.expected, i64 %kept.index
  %kept.now = load ptr, ptr %kept.at
  %kept.wanted = load ptr, ptr %kept.expected.at
  %kept.next = add i64 %kept.index, 1
  %kept.holds = icmp eq ptr %kept.now, %kept.wanted
  br i1 %kept.holds, label %kept_item, label %mismatch

; Keyword names, most often in our order and the very objects we know. In another order the values
; are put in ours; each name is sought by identity first, then by text.
check_names:
  %keywords.count = load i64, ptr %record[container.count]
  %keywords.names = load ptr, ptr %record[container.keys]
  %keywords.copies = load i64, ptr %record[container.copies]
  %keywords.target = getelementptr i8, ptr %frame, i64 %keywords.copies
  %call.names = getelementptr i8, ptr %names, i64 $tuple.items
  br label %name
name:
  %name.index = phi i64 [0, %check_names], [%name.next, %name_same]
  %name.at = getelementptr ptr, ptr %keywords.names, i64 %name.index
  %call.name.at = getelementptr ptr, ptr %call.names, i64 %name.index
  %name.expected = load ptr, ptr %name.at
  %name.given = load ptr, ptr %call.name.at
  %name.equal = call i1 @same_text(ptr %name.given, ptr %name.expected)
  br i1 %name.equal, label %name_same, label %sort_names
name_same:
  %name.next = add i64 %name.index, 1
  %name.more = icmp ult i64 %name.next, %keywords.count
  br i1 %name.more, label %name, label %next
sort_names:
  store ptr %keywords.target, ptr %frame[frame.keywords]
  br label %seek
seek:
  %seek.index = phi i64 [0, %sort_names], [%seek.next, %seek_found]
  %seek.name.at = getelementptr ptr, ptr %keywords.names, i64 %seek.index
  %seek.name = load ptr, ptr %seek.name.at
  br label %identity
identity:
  %identity.index = phi i64 [0, %seek], [%identity.next, %identity_next]
  %identity.at = getelementptr ptr, ptr %call.names, i64 %identity.index
  %identity.name = load ptr, ptr %identity.at
  %identity.same = icmp eq ptr %identity.name, %seek.name
  br i1 %identity.same, label %seek_found, label %identity_next
identity_next:
  %identity.next = add i64 %identity.index, 1
  %identity.more = icmp ult i64 %identity.next, %keywords.count
  br i1 %identity.more, label %identity, label %text
text:
  %text.index = phi i64 [0, %identity_next], [%text.next, %text_next]
  %text.at = getelementptr ptr, ptr %call.names, i64 %text.index
  %text.name = load ptr, ptr %text.at
  %text.same = call i1 @same_text(ptr %text.name, ptr %seek.name)
  br i1 %text.same, label %seek_found, label %text_next
text_next:
  %text.next = add i64 %text.index, 1
  %text.more = icmp ult i64 %text.next, %keywords.count
  br i1 %text.more, label %text, label %mismatch
seek_found:
  %given.index = phi i64 [%identity.index, %identity], [%text.index, %text]
  %given.at = getelementptr ptr, ptr %keyword.at, i64 %given.index
  %given.value = load ptr, ptr %given.at
  %seek.target = getelementptr ptr, ptr %keywords.target, i64 %seek.index
  store ptr %given.value, ptr %seek.target
  %seek.next = add i64 %seek.index, 1
  %seek.more = icmp ult i64 %seek.next, %keywords.count
  br i1 %seek.more, label %seek, label %next

; Records about one object: item number "item" of the vector whose address is in the frame.
fetch:
  %base.offset = load i64, ptr %record[record.base]
  %base.at = getelementptr i8, ptr %frame, i64 %base.offset
  %base = load ptr, ptr %base.at
  %item.offset = load i64, ptr %record[record.item]
  %item.at = getelementptr i8, ptr %base, i64 %item.offset
  %object = load ptr, ptr %item.at
  %object.offset = load i64, ptr %record[record.object]
  %object.at = getelementptr i8, ptr %frame, i64 %object.offset
  store ptr %object, ptr %object.at
  %type = load ptr, ptr %object[object.type]
  %type.expected = load ptr, ptr %record[record.type]
  %type.same = icmp eq ptr %type, %type.expected
  br i1 %type.same, label %right_type, label %wrong_type
wrong_type:
  %anything = icmp eq i64 %kind, $kind.any
  br i1 %anything, label %next, label %mismatch
right_type:
  %slot.offset = load i64, ptr %record[record.slot]
  %slot = getelementptr i8, ptr %frame, i64 %slot.offset
  switch i64 %kind, label %mismatch [
    i64 $kind.array, label %array
    i64 $kind.payload, label %payload
    i64 $kind.int, label %int
    i64 $kind.bool, label %bool
    i64 $kind.identical, label %identical
    i64 $kind.equal, label %equal
    i64 $kind.bits, label %bits
    i64 $kind.tuple, label %tuple
    i64 $kind.list, label %list
    i64 $kind.dict, label %dict
    i64 $kind.instance, label %instance
    i64 $kind.any, label %next
  ]

array:
  %descr = load ptr, ptr %object[array.descr]
  %descr.expected = load ptr, ptr %record[leaf.descr]
  %descr.same = icmp eq ptr %descr, %descr.expected
  br i1 %descr.same, label %right_dtype, label %other_descr
other_descr:
  %dtype.same = call i1 @same_dtype(ptr %descr, ptr %descr.expected)
  br i1 %dtype.same, label %right_dtype, label %mismatch
right_dtype:
  %rank.int = load i32, ptr %object[array.rank]
  %rank = zext i32 %rank.int to i64
  %rank.expected = load i64, ptr %record[leaf.rank]
  %rank.same = icmp eq i64 %rank, %rank.expected
  %flags.int = load i32, ptr %object[array.flags]
  %flags = zext i32 %flags.int to i64
  %flags.needed = load i64, ptr %record[leaf.flags]
  %flags.present = and i64 %flags, %flags.needed
  %flags.same = icmp eq i64 %flags.present, %flags.needed
  %array.fits = and i1 %rank.same, %flags.same
  br i1 %array.fits, label %right_rank, label %mismatch
right_rank:
  %data = load ptr, ptr %object[array.data]
  store ptr %data, ptr %slot
  %shape = load ptr, ptr %object[array.shape]
  %shape.expected = load ptr, ptr %record[leaf.shape]
  br label %axis
axis:
  %axis.index = phi i64 [0, %right_rank], [%axis.next, %axis_fits]
  %axis.more = icmp ult i64 %axis.index, %rank
  br i1 %axis.more, label %extent, label %right_shape
extent:
  %extent.at = getelementptr i64, ptr %shape, i64 %axis.index
  %extent.value = load i64, ptr %extent.at
  %extent.expected.at = getelementptr i64, ptr %shape.expected, i64 %axis.index
  %extent.expected = load i64, ptr %extent.expected.at
  %extent.same = icmp eq i64 %extent.value, %extent.expected
  br i1 %extent.same, label %axis_fits, label %other_extent
other_extent:
  %symbolic = icmp slt i64 %extent.expected, 0
  br i1 %symbolic, label %symbol, label %mismatch
symbol:
  %symbol.index = sub i64 -1, %extent.expected
  %symbol.at = getelementptr i64, ptr %symbols, i64 %symbol.index
  %symbol.value = load i64, ptr %symbol.at
  %symbol.same = icmp eq i64 %symbol.value, %extent.value
  br i1 %symbol.same, label %axis_fits, label %other_symbol
other_symbol:
  %unbound = icmp eq i64 %symbol.value, -1
  %least = load i64, ptr %record[leaf.least]
  %large = icmp sge i64 %extent.value, %least
  %bindable = and i1 %unbound, %large
  br i1 %bindable, label %bind, label %mismatch
bind:
  store i64 %extent.value, ptr %symbol.at
  br label %axis_fits
axis_fits:
  %axis.next = add i64 %axis.index, 1
  br label %axis
right_shape:
  %strides.expected = load ptr, ptr %record[leaf.strides]
  %any_strides = icmp eq ptr %strides.expected, null
  br i1 %any_strides, label %next, label %check_strides
check_strides:
  %strides = load ptr, ptr %object[array.strides]
  br label %stride
stride:
  %stride.index = phi i64 [0, %check_strides], [%stride.next, %stride_value]
  %stride.more = icmp ult i64 %stride.index, %rank
  br i1 %stride.more, label %stride_value, label %next
stride_value:
  %stride.at = getelementptr i64, ptr %strides, i64 %stride.index
  %stride.value = load i64, ptr %stride.at
  %stride.expected.at = getelementptr i64, ptr %strides.expected, i64 %stride.index
  %stride.expected = load i64, ptr %stride.expected.at
  %stride.same = icmp eq i64 %stride.value, %stride.expected
  %stride.next = add i64 %stride.index, 1
  br i1 %stride.same, label %stride, label %mismatch

payload:
  store ptr %object[object.value], ptr %slot
  br label %next
int:
  %int.value = call i64 @PyLong_AsLongLongAndOverflow(ptr %object, ptr %overflow)
  %int.overflow = load i32, ptr %overflow
  %int.offset = load i64, ptr %record[leaf.value]
  %int.at = getelementptr i8, ptr %frame, i64 %int.offset
  store i64 %int.value, ptr %int.at
  store ptr %int.at, ptr %slot
  %int.fits = icmp eq i32 %int.overflow, 0
  br i1 %int.fits, label %next, label %mismatch
bool:
  %bool.value = icmp eq ptr %object, @true_object
  %bool.byte = zext i1 %bool.value to i8
  %bool.offset = load i64, ptr %record[leaf.value]
  %bool.at = getelementptr i8, ptr %frame, i64 %bool.offset
  store i8 %bool.byte, ptr %bool.at
  store ptr %bool.at, ptr %slot
  br label %next

identical:
  %identical.value = load ptr, ptr %record[leaf.value]
  %identical.same = icmp eq ptr %object, %identical.value
  br i1 %identical.same, label %next, label %mismatch
equal:
  %equal.value = load ptr, ptr %record[leaf.value]
  %equal.identical = icmp eq ptr %object, %equal.value
  br i1 %equal.identical, label %next, label %ask
ask:
  %asked = call i32 @PyObject_RichCompareBool(ptr %object, ptr %equal.value, i32 2)
  %asked.equal = icmp eq i32 %asked, 1
  br i1 %asked.equal, label %next, label %clear
clear:
  call void @PyErr_Clear()
  br label %mismatch
bits:
  %bits.object = load ptr, ptr %record[leaf.value]
  %bits.value = load i64, ptr %object[object.value]
  %bits.expected = load i64, ptr %bits.object[object.value]
  %bits.same = icmp eq i64 %bits.value, %bits.expected
  br i1 %bits.same, label %second_bits, label %mismatch
second_bits:
  %bits.offset = load i64, ptr %record[leaf.last_word]
  %bits.last.at = getelementptr i8, ptr %object, i64 %bits.offset
  %bits.last = load i64, ptr %bits.last.at
  %bits.last.expected.at = getelementptr i8, ptr %bits.object, i64 %bits.offset
  %bits.last.expected = load i64, ptr %bits.last.expected.at
  %bits.last.same = icmp eq i64 %bits.last, %bits.last.expected
  br i1 %bits.last.same, label %next, label %mismatch

; Containers leave the address of their items in the frame. A tuple's items stay where they are;
; those of lists and dicts are copied, with a reference each, because Python code that runs during
; this call (another thread, an __eq__) may change the container under our feet.
tuple:
  %tuple.size = load i64, ptr %object[tuple.size]
  %tuple.expected = load i64, ptr %record[container.count]
  %tuple.same = icmp eq i64 %tuple.size, %tuple.expected
  store ptr %object[tuple.items], ptr %slot
  br i1 %tuple.same, label %next, label %mismatch
list:
  %list.size = load i64, ptr %object[list.size]
  %list.expected = load i64, ptr %record[container.count]
  %list.same = icmp eq i64 %list.size, %list.expected
  br i1 %list.same, label %list_copy, label %mismatch
list_copy:
  %list.items = load ptr, ptr %object[list.items]
  %list.copies.offset = load i64, ptr %record[container.copies]
  %list.copies = getelementptr i8, ptr %frame, i64 %list.copies.offset
  store ptr %list.copies, ptr %slot
  br label %list_item
list_item:
  %list.index = phi i64 [0, %list_copy], [%list.next, %list_keep]
  %list.more = icmp ult i64 %list.index, %list.size
  br i1 %list.more, label %list_keep, label %list_done
list_keep:
  %list.from = getelementptr ptr, ptr %list.items, i64 %list.index
  %list.item = load ptr, ptr %list.from
  call void @Py_IncRef(ptr %list.item)
  %list.to = getelementptr ptr, ptr %list.copies, i64 %list.index
  store ptr %list.item, ptr %list.to
  %list.next = add i64 %list.index, 1
  br label %list_item
list_done:
  %list.owned = load i64, ptr %frame[frame.owned]
  %list.owned.more = add i64 %list.owned, %list.size
  store i64 %list.owned.more, ptr %frame[frame.owned]
  br label %next

; Attributes are what an instance's dict holds. A dict is walked, as its order is part of what it is;
; keys are the very objects we know, or equal strings.
instance:
  %attributes = call ptr @PyObject_GenericGetDict(ptr %object, ptr null)
  %attributes.none = icmp eq ptr %attributes, null
  br i1 %attributes.none, label %clear, label %attributes_found
attributes_found:
  call void @Py_DecRef(ptr %attributes) ; the instance keeps it
  br label %dict
dict:
  %mapping = phi ptr [%object, %right_type], [%attributes, %attributes_found]
  %dict.size = call i64 @PyDict_Size(ptr %mapping)
  %dict.expected = load i64, ptr %record[container.count]
  %dict.same = icmp eq i64 %dict.size, %dict.expected
  br i1 %dict.same, label %dict_copy, label %mismatch
dict_copy:
  %dict.keys = load ptr, ptr %record[container.keys]
  %dict.copies.offset = load i64, ptr %record[container.copies]
  %dict.copies = getelementptr i8, ptr %frame, i64 %dict.copies.offset
  store ptr %dict.copies, ptr %slot
  store i64 0, ptr %position
  br label %dict_item
dict_item:
  %dict.index = phi i64 [0, %dict_copy], [%dict.next, %dict_keep]
  %dict.more = icmp ult i64 %dict.index, %dict.expected
  br i1 %dict.more, label %dict_walk, label %next
dict_walk:
  %dict.key.at = getelementptr ptr, ptr %dict.keys, i64 %dict.index
  %dict.key = load ptr, ptr %dict.key.at
  %walked = call i32 @PyDict_Next(ptr %mapping, ptr %position, ptr %key, ptr %value)
  %walk.ended = icmp eq i32 %walked, 0
  br i1 %walk.ended, label %mismatch, label %dict_compare
dict_compare:
  %walk.key = load ptr, ptr %key
  %walk.value = load ptr, ptr %value
  %walk.same = icmp eq ptr %walk.key, %dict.key
  br i1 %walk.same, label %dict_keep, label %dict_text
dict_text:
  %dict.key.type = load ptr, ptr %dict.key[object.type]
  %walk.key.type = load ptr, ptr %walk.key[object.type]
  %dict.key.str = icmp eq ptr %dict.key.type, @str_type
  %walk.key.str = icmp eq ptr %walk.key.type, @str_type
  %both.str = and i1 %dict.key.str, %walk.key.str
  br i1 %both.str, label %dict_same_text, label %mismatch
dict_same_text:
  %dict.key.equal = call i1 @same_text(ptr %walk.key, ptr %dict.key)
  br i1 %dict.key.equal, label %dict_keep, label %mismatch
dict_keep:
  call void @Py_IncRef(ptr %walk.value)
  %dict.to = getelementptr ptr, ptr %dict.copies, i64 %dict.index
  store ptr %walk.value, ptr %dict.to
  %dict.owned = load i64, ptr %frame[frame.owned]
  %dict.owned.more = add i64 %dict.owned, 1
  store i64 %dict.owned.more, ptr %frame[frame.owned]
  %dict.next = add i64 %dict.index, 1
  br label %dict_item
}

; Give back the references @match took.
define internal void @forget(ptr %entry, ptr %frame) {
start:
  %owned = load i64, ptr %frame[frame.owned]
  %copies.offset = load i64, ptr %entry[entry.copies]
  %copies = getelementptr i8, ptr %frame, i64 %copies.offset
  br label %test
test:
  %index = phi i64 [0, %start], [%next, %drop]
  %more = icmp ult i64 %index, %owned
  br i1 %more, label %drop, label %done
drop:
  %at = getelementptr ptr, ptr %copies, i64 %index
  %object = load ptr, ptr %at
  call void @Py_DecRef(ptr %object)
  %next = add i64 %index, 1
  br label %test
done:
  ret void
}

; The bytes an array's elements lie in, from the first to behind the last; none for an empty one.
define internal { i64, i64 } @span(ptr %object, i64 %itemsize) {
start:
  %data = load ptr, ptr %object[array.data]
  %first = ptrtoint ptr %data to i64
  %first.end = add i64 %first, %itemsize
  %rank.int = load i32, ptr %object[array.rank]
  %rank = zext i32 %rank.int to i64
  %shape = load ptr, ptr %object[array.shape]
  %strides = load ptr, ptr %object[array.strides]
  br label %axis
axis:
  %index = phi i64 [0, %start], [%next, %step]
  %low = phi i64 [%first, %start], [%low.next, %step]
  %high = phi i64 [%first.end, %start], [%high.next, %step]
  %more = icmp ult i64 %index, %rank
  br i1 %more, label %extent, label %done
extent:
  %extent.at = getelementptr i64, ptr %shape, i64 %index
  %count = load i64, ptr %extent.at
  %is.empty = icmp eq i64 %count, 0
  br i1 %is.empty, label %empty, label %step
step:
  %stride.at = getelementptr i64, ptr %strides, i64 %index
  %stride = load i64, ptr %stride.at
  %last = sub i64 %count, 1
  %reach = mul i64 %last, %stride
  %down = icmp slt i64 %reach, 0
  %below = select i1 %down, i64 %reach, i64 0
  %above = select i1 %down, i64 0, i64 %reach
  %low.next = add i64 %low, %below
  %high.next = add i64 %high, %above
  %next = add i64 %index, 1
  br label %axis
done:
  %found = insertvalue { i64, i64 } undef, i64 %low, 0
  %span = insertvalue { i64, i64 } %found, i64 %high, 1
  ret { i64, i64 } %span
empty:
  ret { i64, i64 } zeroinitializer
}

define internal i1 @same_text(ptr %given, ptr %expected) {
start:
  %identical = icmp eq ptr %given, %expected
  br i1 %identical, label %same, label %ask
same:
  ret i1 true
ask:
  %answer = call i32 @PyObject_RichCompareBool(ptr %given, ptr %expected, i32 2)
  %equal = icmp eq i32 %answer, 1
  br i1 %equal, label %same, label %other
other:
  call void @PyErr_Clear()
  ret i1 false
}

; Do two dtypes, both of them numbers or bools, mean the same bytes? Unpickled arrays have a dtype
; object of their own.
define internal i1 @same_dtype(ptr %given, ptr %expected) {
  %kind = load i8, ptr %given[descr.kind]
  %kind.expected = load i8, ptr %expected[descr.kind]
  %order = load i8, ptr %given[descr.byteorder]
  %order.expected = load i8, ptr %expected[descr.byteorder]
  %itemsize = load i64, ptr %given[descr.itemsize]
  %itemsize.expected = load i64, ptr %expected[descr.itemsize]
  %kind.same = icmp eq i8 %kind, %kind.expected
  %order.same = icmp eq i8 %order, %order.expected
  %itemsize.same = icmp eq i64 %itemsize, %itemsize.expected
  %both = and i1 %kind.same, %order.same
  %all = and i1 %both, %itemsize.same
  ret i1 %all
}

; Outputs, workspace, the executable, the result: a new reference, or null with an exception set.
define internal ptr @execute(ptr %entry, ptr %frame) {
start:
  %slots = getelementptr i8, ptr %frame, i64 $frame.slots
  %symbols.offset = load i64, ptr %entry[entry.symbols]
  %symbols = getelementptr i8, ptr %frame, i64 %symbols.offset
  %results.offset = load i64, ptr %entry[entry.results]
  %results = getelementptr i8, ptr %frame, i64 %results.offset
  %outputs = load ptr, ptr %entry[entry.outputs]
  %output.count = load i64, ptr %entry[entry.output_count]
  %template = load ptr, ptr %entry[entry.extents]
  %fixed.bytes = load i64, ptr %entry[entry.workspace_bytes]
  %fixed.extents = load i64, ptr %entry[entry.fixed_extents]
  %is_fixed = icmp ne i64 %fixed.extents, 0
  br i1 %is_fixed, label %allocate, label %measure

; Extents that depend on the symbols.
measure:
  %extents.offset = load i64, ptr %entry[entry.extents_offset]
  %extents.frame = getelementptr i8, ptr %frame, i64 %extents.offset
  %shapes = load ptr, ptr %entry[entry.shapes]
  %computed = icmp ne ptr %shapes, null
  br i1 %computed, label %compute, label %substitute
compute:
  %computed.bytes = call i64 %shapes(ptr %symbols, ptr %extents.frame)
  br label %allocate
substitute:
  %extent.count = load i64, ptr %entry[entry.extent_count]
  br label %extent
extent:
  %extent.index = phi i64 [0, %substitute], [%extent.next, %extent_known]
  %extent.more = icmp ult i64 %extent.index, %extent.count
  br i1 %extent.more, label %extent_value, label %allocate
extent_value:
  %extent.from = getelementptr i64, ptr %template, i64 %extent.index
  %extent.fixed = load i64, ptr %extent.from
  %symbolic = icmp slt i64 %extent.fixed, 0
  br i1 %symbolic, label %symbol, label %extent_known
symbol:
  %symbol.index = sub i64 -1, %extent.fixed
  %symbol.at = getelementptr i64, ptr %symbols, i64 %symbol.index
  %symbol.value = load i64, ptr %symbol.at
  br label %extent_known
extent_known:
  %extent.value = phi i64 [%extent.fixed, %extent_value], [%symbol.value, %symbol]
  %extent.to = getelementptr i64, ptr %extents.frame, i64 %extent.index
  store i64 %extent.value, ptr %extent.to
  %extent.next = add i64 %extent.index, 1
  br label %extent

; New arrays. A failure drops the results made so far.
allocate:
  %extents = phi ptr [%template, %start], [%extents.frame, %compute], [%extents.frame, %extent]
  %workspace.bytes = phi i64 [%fixed.bytes, %start], [%computed.bytes, %compute], [%fixed.bytes, %extent]
  br label %output
output:
  %output.index = phi i64 [0, %allocate], [%output.next, %output_done]
  %output.offset = mul i64 %output.index, $output.size
  %out = getelementptr i8, ptr %outputs, i64 %output.offset
  %result.at = getelementptr ptr, ptr %results, i64 %output.index
  %output.more = icmp ult i64 %output.index, %output.count
  br i1 %output.more, label %prepare, label %workspace
prepare:
  store ptr null, ptr %result.at
  %kind = load i64, ptr %out[output.kind]
  %slot.offset = load i64, ptr %out[output.slot]
  %slot = getelementptr i8, ptr %frame, i64 %slot.offset
  switch i64 %kind, label %output_done [
    i64 $output.array, label %array
    i64 $output.scalar, label %scalar
    i64 $output.float, label %scalar
    i64 $output.int, label %scalar
    i64 $output.complex, label %scalar
    i64 $output.bool, label %scalar
    i64 $output.count, label %scalar
  ]
scalar:
  %value.offset = load i64, ptr %out[output.value]
  %value.at = getelementptr i8, ptr %frame, i64 %value.offset
  store ptr %value.at, ptr %slot
  br label %output_done
array:
  %made.array = call ptr @new_array(ptr %out, ptr %extents)
  %array.none = icmp eq ptr %made.array, null
  br i1 %array.none, label %fail, label %array_made
array_made:
  store ptr %made.array, ptr %result.at
  %data = load ptr, ptr %made.array[array.data]
  store ptr %data, ptr %slot
  br label %output_done
output_done:
  %output.next = add i64 %output.index, 1
  br label %output

workspace:
  %tail.offset = load i64, ptr %entry[entry.tail]
  %tail = getelementptr i8, ptr %frame, i64 %tail.offset
  store ptr %symbols, ptr %tail[8]
  %no_workspace = icmp sle i64 %workspace.bytes, 0
  br i1 %no_workspace, label %run, label %acquire
acquire:
  %acquired = call ptr @tj_acquire(i64 %workspace.bytes)
  %acquired.none = icmp eq ptr %acquired, null
  br i1 %acquired.none, label %no_memory, label %run
no_memory:
  %raised = call ptr @PyErr_NoMemory()
  br label %fail

run:
  %scratch = phi ptr [null, %workspace], [%acquired, %acquire]
  store ptr %scratch, ptr %tail
  %cell = load ptr, ptr %entry[entry.entry]
  %code = load ptr, ptr %cell
  %release_gil = load i64, ptr %entry[entry.release_gil]
  %locked = icmp eq i64 %release_gil, 0
  br i1 %locked, label %run_locked, label %run_unlocked
run_locked:
  %status.locked = call i64 %code(ptr %slots)
  br label %ran
run_unlocked:
  %thread = call ptr @PyEval_SaveThread()
  %status.unlocked = call i64 %code(ptr %slots)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %ran
ran:
  %status = phi i64 [%status.locked, %run_locked], [%status.unlocked, %run_unlocked]
  %succeeded = icmp eq i64 %status, 0
  br i1 %succeeded, label %finish_work, label %failed
failed:
  call void @drop(ptr %results, i64 %output.count)
  call void @raise(ptr %entry, i64 %status, ptr %scratch)
  br label %finish_work
finish_work:
  br i1 %no_workspace, label %check, label %release
release:
  call void @tj_release(ptr %scratch, i64 %workspace.bytes)
  br label %check
check:
  br i1 %succeeded, label %collect, label %give_up
give_up:
  ret ptr null

; The other results become objects.
collect:
  %collect.index = phi i64 [0, %check], [%collect.next, %collect_done]
  %collect.offset = mul i64 %collect.index, $output.size
  %col = getelementptr i8, ptr %outputs, i64 %collect.offset
  %collect.at = getelementptr ptr, ptr %results, i64 %collect.index
  %collect.more = icmp ult i64 %collect.index, %output.count
  br i1 %collect.more, label %convert, label %finish
convert:
  %collect.kind = load i64, ptr %col[output.kind]
  %bits.offset = load i64, ptr %col[output.value]
  %bits = getelementptr i8, ptr %frame, i64 %bits.offset
  switch i64 %collect.kind, label %collect_done [
    i64 $output.array, label %take_rows
    i64 $output.scalar, label %make_scalar
    i64 $output.float, label %make_float
    i64 $output.int, label %make_int
    i64 $output.complex, label %make_complex
    i64 $output.bool, label %make_bool
    i64 $output.argument, label %pass_argument
    i64 $output.object, label %pass_object
    i64 $output.count, label %pass_count
  ]
take_rows:
  %is_whole = icmp eq i64 %bits.offset, 0
  br i1 %is_whole, label %collect_done, label %count_rows
count_rows:
  %rows = load i64, ptr %bits
  %room = load ptr, ptr %collect.at
  %rows.array = call ptr @first_rows(ptr %col, ptr %room, i64 %rows)
  store ptr %rows.array, ptr %collect.at
  %rows.none = icmp eq ptr %rows.array, null
  br i1 %rows.none, label %fail_collect, label %collect_done
make_scalar:
  %scalar.descr = load ptr, ptr %col[output.descr]
  %made.scalar = call ptr @PyArray_Scalar(ptr %bits, ptr %scalar.descr, ptr null)
  br label %scalar_made
make_float:
  %float.value = load double, ptr %bits
  %made.float = call ptr @PyFloat_FromDouble(double %float.value)
  br label %scalar_made
make_int:
  %int.value = load i64, ptr %bits
  %made.int = call ptr @PyLong_FromLongLong(i64 %int.value)
  br label %scalar_made
make_complex:
  %real.value = load double, ptr %bits
  %imaginary.value = load double, ptr %bits[8]
  %made.complex = call ptr @PyComplex_FromDoubles(double %real.value, double %imaginary.value)
  br label %scalar_made
make_bool:
  %bool.value = load i8, ptr %bits
  %bool.false = icmp eq i8 %bool.value, 0
  %bool.object = select i1 %bool.false, ptr @false_object, ptr @true_object
  br label %pass
scalar_made:
  %made = phi ptr [%made.scalar, %make_scalar], [%made.float, %make_float], [%made.int, %make_int], [%made.complex, %make_complex]
  store ptr %made, ptr %collect.at
  %made.none = icmp eq ptr %made, null
  br i1 %made.none, label %fail_collect, label %collect_done
pass_argument:
  %argument.offset = load i64, ptr %col[output.value]
  %argument.at = getelementptr i8, ptr %frame, i64 %argument.offset
  %argument = load ptr, ptr %argument.at
  br label %pass
pass_object:
  %constant = load ptr, ptr %col[output.value]
  br label %pass
pass_count:
  %nothing = load ptr, ptr %col[output.descr]
  br label %pass
pass:
  %passed = phi ptr [%argument, %pass_argument], [%constant, %pass_object], [%nothing, %pass_count], [%bool.object, %make_bool]
  call void @Py_IncRef(ptr %passed)
  store ptr %passed, ptr %collect.at
  br label %collect_done
collect_done:
  %collect.next = add i64 %collect.index, 1
  br label %collect
fail_collect:
  call void @drop(ptr %results, i64 %output.count)
  ret ptr null

finish:
  %form = load i64, ptr %entry[entry.result]
  switch i64 %form, label %pack [
    i64 $result.single, label %return_single
    i64 $result.tree, label %return_tree
  ]
return_tree:
  %built = call ptr @build(ptr %entry, ptr %frame, ptr %results)
  call void @drop(ptr %results, i64 %output.count)
  ret ptr %built
return_single:
  %only = load ptr, ptr %results
  ret ptr %only
pack:
  %tuple = call ptr @PyTuple_New(i64 %output.count)
  %tuple.none = icmp eq ptr %tuple, null
  br i1 %tuple.none, label %fail_collect, label %fill
fill:
  %items.bytes = shl i64 %output.count, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %tuple[tuple.items], ptr %results, i64 %items.bytes, i1 false)
  %is_tuple = icmp eq i64 %form, $result.tuple
  br i1 %is_tuple, label %return_tuple, label %unflatten
return_tuple:
  ret ptr %tuple
unflatten:
  %function = load ptr, ptr %entry[entry.function]
  %answer = call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr %function, ptr %tuple, ptr null)
  call void @Py_DecRef(ptr %tuple)
  ret ptr %answer

fail:
  %made_so_far = phi i64 [%output.index, %array], [%output.count, %no_memory]
  call void @drop(ptr %results, i64 %made_so_far)
  ret ptr null
}

; A result of nested containers: the steps put outputs on a stack and gather what lies on top of it.
define internal ptr @build(ptr %entry, ptr %frame, ptr %results) {
start:
  %program = load ptr, ptr %entry[entry.build]
  %stack.offset = load i64, ptr %entry[entry.stack]
  %stack = getelementptr i8, ptr %frame, i64 %stack.offset
  br label %step
step:
  %record = phi ptr [%program, %start], [%record.next, %next]
  %top = phi i64 [0, %start], [%top.next, %next]
  %kind = load i64, ptr %record[build.kind]
  %count = load i64, ptr %record[build.count]
  %given = load ptr, ptr %record[build.object]
  %bottom = sub i64 %top, %count
  %items = getelementptr ptr, ptr %stack, i64 %bottom
  %bytes = shl i64 %count, 3
  switch i64 %kind, label %end [
    i64 $build.push, label %push
    i64 $build.tuple, label %make_tuple
    i64 $build.list, label %make_list
    i64 $build.dict, label %make_dict
  ]
end:
  %result = load ptr, ptr %stack
  ret ptr %result

push:
  %output.at = getelementptr ptr, ptr %results, i64 %count
  %output = load ptr, ptr %output.at
  call void @Py_IncRef(ptr %output)
  br label %next
next:
  %object = phi ptr [%output, %push], [%sequence, %fill], [%dictionary, %dict_made]
  %place = phi i64 [%top, %push], [%bottom, %fill], [%bottom, %dict_made]
  %object.at = getelementptr ptr, ptr %stack, i64 %place
  store ptr %object, ptr %object.at
  %top.next = add i64 %place, 1
  %record.next = getelementptr i8, ptr %record, i64 $build.size
  br label %step

make_tuple:
  %plain = icmp eq ptr %given, null
  br i1 %plain, label %plain_tuple, label %named_tuple
plain_tuple:
  %tuple.plain = call ptr @PyTuple_New(i64 %count)
  br label %tuple_made
named_tuple:
  %tuple.named = call ptr @PyType_GenericAlloc(ptr %given, i64 %count)
  br label %tuple_made
tuple_made:
  %tuple = phi ptr [%tuple.plain, %plain_tuple], [%tuple.named, %named_tuple]
  %tuple.items = getelementptr i8, ptr %tuple, i64 $tuple.items
  %tuple.none = icmp eq ptr %tuple, null
  br i1 %tuple.none, label %fail, label %fill
make_list:
  %list = call ptr @PyList_New(i64 %count)
  %list.none = icmp eq ptr %list, null
  br i1 %list.none, label %fail, label %list_made
list_made:
  %list.items = load ptr, ptr %list[list.items]
  br label %fill
fill:
  %sequence = phi ptr [%tuple, %tuple_made], [%list, %list_made]
  %sequence.items = phi ptr [%tuple.items, %tuple_made], [%list.items, %list_made]
  call void @llvm.memcpy.p0.p0.i64(ptr %sequence.items, ptr %items, i64 %bytes, i1 false)
  br label %next

make_dict:
  %dictionary = call ptr @PyDict_New()
  %dict.none = icmp eq ptr %dictionary, null
  br i1 %dict.none, label %fail, label %dict_item
dict_item:
  %index = phi i64 [0, %make_dict], [%index.next, %dict_put]
  %more = icmp ult i64 %index, %count
  br i1 %more, label %dict_put, label %dict_made
dict_put:
  %key.at = getelementptr ptr, ptr %given, i64 %index
  %key = load ptr, ptr %key.at
  %item.at = getelementptr ptr, ptr %items, i64 %index
  %item = load ptr, ptr %item.at
  %put = call i32 @PyDict_SetItem(ptr %dictionary, ptr %key, ptr %item)
  %index.next = add i64 %index, 1
  %put.done = icmp eq i32 %put, 0
  br i1 %put.done, label %dict_item, label %dict_fail
dict_made:
  call void @drop(ptr %items, i64 %count)
  br label %next
dict_fail:
  call void @Py_DecRef(ptr %dictionary)
  br label %fail

fail:
  call void @drop(ptr %stack, i64 %top)
  ret ptr null
}

define internal void @drop(ptr %results, i64 %count) {
start:
  br label %test
test:
  %index = phi i64 [0, %start], [%next, %one]
  %more = icmp ult i64 %index, %count
  br i1 %more, label %one, label %done
one:
  %at = getelementptr ptr, ptr %results, i64 %index
  %object = load ptr, ptr %at
  call void @Py_DecRef(ptr %object)
  %next = add i64 %index, 1
  br label %test
done:
  ret void
}

; The plan's error callback raises, given the status and the address of the workspace; where it
; returns, the call is left to Python.
define internal void @raise(ptr %entry, i64 %status, ptr %workspace) {
start:
  %function = load ptr, ptr %entry[entry.on_error]
  %number = call ptr @PyLong_FromLongLong(i64 %status)
  %number.none = icmp eq ptr %number, null
  br i1 %number.none, label %done, label %locate
locate:
  %report = ptrtoint ptr %workspace to i64
  %address = call ptr @PyLong_FromLongLong(i64 %report)
  %address.none = icmp eq ptr %address, null
  br i1 %address.none, label %forget, label %ask
ask:
  %answer = call ptr (ptr, ...) @PyObject_CallFunctionObjArgs(ptr %function, ptr %number, ptr %address, ptr null)
  call void @Py_DecRef(ptr %address)
  call void @Py_DecRef(ptr %number)
  %answer.none = icmp eq ptr %answer, null
  br i1 %answer.none, label %done, label %returned
returned:
  call void @Py_DecRef(ptr %answer)
  br label %done
forget:
  call void @Py_DecRef(ptr %number)
  br label %done
done:
  ret void
}

; A new array of an output's dtype, rank and extents. Large ones live in a pooled block, which they
; own like any other memory: the array's memory handler is the pool's.
define internal ptr @new_array(ptr %out, ptr %extents) {
start:
  %offset = load i64, ptr %out[output.extents]
  %shape = getelementptr i8, ptr %extents, i64 %offset
  %bytes.fixed = load i64, ptr %out[output.bytes]
  %known = icmp sge i64 %bytes.fixed, 0
  br i1 %known, label %make, label %measure
measure:
  %measured = call i64 @measure(ptr %out, ptr %shape)
  br label %make
make:
  %bytes = phi i64 [%bytes.fixed, %start], [%measured, %measure]
  %array = call ptr @array_of(ptr %out, ptr %shape, i64 %bytes)
  ret ptr %array
}

; How many bytes an output of these extents takes; -1 if that is no number.
define internal i64 @measure(ptr %out, ptr %shape) {
start:
  %rank = load i64, ptr %out[output.rank]
  %itemsize = load i64, ptr %out[output.itemsize]
  br label %axis
axis:
  %index = phi i64 [0, %start], [%next, %extent]
  %product = phi i64 [%itemsize, %start], [%product.next, %extent]
  %more = icmp ult i64 %index, %rank
  br i1 %more, label %extent, label %done
extent:
  %extent.at = getelementptr i64, ptr %shape, i64 %index
  %extent.value = load i64, ptr %extent.at
  %multiplied = call {i64, i1} @llvm.umul.with.overflow.i64(i64 %product, i64 %extent.value)
  %product.next = extractvalue {i64, i1} %multiplied, 0
  %too_big = extractvalue {i64, i1} %multiplied, 1
  %next = add i64 %index, 1
  br i1 %too_big, label %done, label %axis
done:
  %bytes = phi i64 [%product, %axis], [-1, %extent]
  ret i64 %bytes
}

; The same array with so many rows, the first ones; a copy where that leaves less than half of its memory in
; use, or where the order of what is left is no longer one alone.
define internal ptr @first_rows(ptr %out, ptr %array, i64 %count) {
start:
  %shape = load ptr, ptr %array[array.shape]
  %room = load i64, ptr %shape
  %rank = load i64, ptr %out[output.rank]
  store i64 %count, ptr %shape
  %doubled = shl i64 %count, 1
  %is_most = icmp uge i64 %doubled, %room
  %is_row = icmp eq i64 %rank, 1
  %are_several = icmp ugt i64 %count, 1
  %keeps_order = or i1 %is_row, %are_several
  %is_whole = icmp eq i64 %count, %room
  %may_stay = and i1 %is_most, %keeps_order
  %stays = or i1 %is_whole, %may_stay
  br i1 %stays, label %stay, label %copy
stay:
  ret ptr %array
copy:
  %bytes = call i64 @measure(ptr %out, ptr %shape)
  %made = call ptr @array_of(ptr %out, ptr %shape, i64 %bytes)
  store i64 %room, ptr %shape
  %none = icmp eq ptr %made, null
  br i1 %none, label %drop, label %fill
fill:
  %from = load ptr, ptr %array[array.data]
  %to = load ptr, ptr %made[array.data]
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %bytes, i1 false)
  br label %drop
drop:
  call void @Py_DecRef(ptr %array)
  ret ptr %made
}

define internal ptr @array_of(ptr %out, ptr %shape, i64 %bytes) {
start:
  %descr = load ptr, ptr %out[output.descr]
  %rank = load i64, ptr %out[output.rank]
  %rank.int = trunc i64 %rank to i32
  %limit = load i64, ptr %out[output.threshold]
  %large = icmp sge i64 %bytes, %limit
  br i1 %large, label %pooled, label %plain
plain:
  call void @Py_IncRef(ptr %descr)
  %array.plain = call ptr @PyArray_NewFromDescr(ptr @ndarray_type, ptr %descr, i32 %rank.int, ptr %shape, ptr null, ptr null, i32 0, ptr null)
  ret ptr %array.plain

pooled:
  %block = call ptr @tj_acquire(i64 %bytes)
  %block.none = icmp eq ptr %block, null
  ; Out of memory: let NumPy try, whose error names the shape and the dtype.
  br i1 %block.none, label %plain, label %wrap
wrap:
  call void @Py_IncRef(ptr %descr)
  %array = call ptr @PyArray_NewFromDescr(ptr @ndarray_type, ptr %descr, i32 %rank.int, ptr %shape, ptr null, ptr %block, i32 $array.ours, ptr null)
  %array.none = icmp eq ptr %array, null
  br i1 %array.none, label %give_back, label %own
give_back:
  call void @tj_release(ptr %block, i64 %bytes)
  ret ptr null
own:
  %handler = load ptr, ptr %out[output.handler]
  call void @Py_IncRef(ptr %handler)
  store ptr %handler, ptr %array[array.handler]
  %flags = load i32, ptr %array[array.flags]
  %flags.own = or i32 %flags, $array.owndata
  store i32 %flags.own, ptr %array[array.flags]
  ret ptr %array
}
