//! The assembly of [`super`]: the loop over pairs of columns and blocks of channels, and its parts.
#![allow(unsafe_code)]

use core::arch::global_asm;

// The assembly reads and writes through the frame's pointers only, as far as the checks of `Gemm`
// allow: the input's rows, the scratch memory, the blocks of the stream up to the one with the flag
// LAST and, if `end` is the part `rest`, the one behind it, and the columns' outputs. It keeps r4–r11
// and the stack as AAPCS demands, calls nothing, and uses no other memory than its frame below the
// stack pointer.
global_asm!(
    dsp!(),
    gemm_macros!(),
    "
    .syntax unified
    .section .text.pupil_m4_gemm, \"ax\", %progbits
    .global pupil_m4_gemm
    .thumb_func
    pupil_m4_gemm:
    push {r4-r11, lr}
    sub sp, #128
    ldm r0!, {r1-r10}
    stm sp, {r1-r10}
    add r12, sp, #40
    ldm r0!, {r1-r10}
    stm r12!, {r1-r10}
    ldm r0, {r1-r8}
    stm r12, {r1-r8}

10: add r12, sp, #32
    ldm r12, {r0-r5}
    add r5, r5, r0
    add r1, r1, r0
    str r5, [r12]
    ldr pc, [sp, #76]

    .global pupil_m4_gemm_columns
    .thumb_func
    pupil_m4_gemm_columns:
    ldr r12, [sp, #4]
    ldrd r0, r1, [sp, #16]
    lsls r12, r12, #1
    @ Carry: there is more than one pass.
    .global pupil_m4_gemm_block
    .thumb_func
    pupil_m4_gemm_block:
16: ldm r1!, {r2-r5}
    ldrd r10, r11, [r0], #8
    ldrd r12, lr, [r1], #8
    smlad r7, r11, r12, r3
    smlad r3, r10, r12, r3
    sxtb16 r12, r12
    smlad r9, r11, lr, r5
    smlad r5, r10, lr, r5
    sxtb16 lr, lr
    smlad r6, r11, r12, r2
    smlad r2, r10, r12, r2
    smlad r8, r11, lr, r4
    smlad r4, r10, lr, r4
    ldr pc, [sp, #68]
20: ldr r10, [sp, #104]
    cmp r10, r0
    .global pupil_m4_gemm_steps
    .thumb_func
    pupil_m4_gemm_steps:
    .rept 16
    ldrd r10, r11, [r0], #8
    ldrd r12, lr, [r1], #8
    smlad r3, r10, r12, r3
    smlad r7, r11, r12, r7
    sxtb16 r12, r12
    smlad r5, r10, lr, r5
    smlad r9, r11, lr, r9
    sxtb16 lr, lr
    smlad r2, r10, r12, r2
    smlad r6, r11, r12, r6
    smlad r4, r10, lr, r4
    smlad r8, r11, lr, r8
    .endr
    bcs.w 20b
    ldr pc, [sp, #72]

    .global pupil_m4_gemm_end
    .thumb_func
    pupil_m4_gemm_end:
    ldrd r3, r4, [sp, #24]
    add r3, r5, r3
    cmp r5, r4
    strd r5, r3, [sp, #8]
    bne 10b
    ldrd r3, r6, [sp, #80]
    subs r3, #1
    beq 84f
    add r4, r4, r6
    str r3, [sp, #80]
    str r4, [sp, #28]
    ldrd r3, r6, [sp, #88]
    ldr r4, [sp, #32]
    add r5, r5, r6
    add r4, r4, r3
    ldr r3, [sp, #96]
    str r4, [sp, #32]
    add r3, r5, r3
    strd r5, r3, [sp, #8]
    b 10b
84: add sp, #128
    pop {r4-r11, pc}

    @ One to three channels more: a block whose words go to the frame first.
    G_PART rest
    tst r11, #0x200
    bne 86f
    strd r4, r5, [sp, #120]
    add r4, sp, #112
    add r5, sp, #116
    strd r4, r5, [sp, #8]
    lsls r3, r3, #1
    b.w pupil_m4_gemm_block
86: ldr r3, [sp, #24]
    ldrd r4, r5, [sp, #120]
    ands r3, r3, #3
87: strb r2, [r4], #1
    strb r6, [r5], #1
    lsrs r2, r2, #8
    lsrs r6, r6, #8
    subs r3, #1
    bne 87b
    b.w pupil_m4_gemm_end

    G_PART bytes
    mov r12, r4
    ldr r5, [sp, #64]
    ldr r6, [sp]
    mov r4, r2
    subs r5, r5, r6
    lsrs r5, r5, #2
    adds r6, r4, r5
    ldr lr, [sp, #56]
71: subs r3, #4
    blt 73f
72: ldr r7, [r0], #4
    ldr r8, [r1], #4
    subs r3, #4
    str r7, [r4], #4
    str r8, [r6], #4
    bge 72b
73: adds r3, #4
    beq 75f
74: ldrb r7, [r0], #1
    ldrb r8, [r1], #1
    subs r3, #1
    strb r7, [r4], #1
    strb r8, [r6], #1
    bne 74b
75: cmp r4, lr
    beq.w pupil_m4_gemm_gathered
    add r0, r0, r12
    add r1, r1, r12
    ldr r3, [sp, #44]
    b 71b

    G_PART words
    ldr r12, [sp, #56]
    b 50f
    @ The buffer's bytes, to all of x.
    .global pupil_m4_gemm_gathered
    .thumb_func
    pupil_m4_gemm_gathered:
    ldr r12, [sp, #64]
    ldr r2, [sp]
    mov r0, r12
    subs r3, r0, r2
    lsrs r3, r3, #2
    adds r1, r0, r3
50: str r12, [sp, #112]
51: ldr r4, [r0], #4
    ldr r8, [r1], #4
    G_FOUR r4, r8, 0
    subs r3, #4
    bgt 51b
    ldr r12, [sp, #112]
    cmp r2, r12
    beq.w pupil_m4_gemm_columns
    ldrd r3, r12, [sp, #44]
    add r0, r0, r12
    add r1, r1, r12
    b 51b

    G_PART three
    add r10, r4, #9
    ldr r4, [r0]
    ldr r8, [r1]
    G_FOUR r4, r8, 0
    ldr r4, [r0, #4]
    ldr r8, [r1, #4]
    G_FOUR r4, r8, 0
    ldrb r4, [r0, #8]
    ldrb r8, [r1, #8]
    ldr r5, [r0, r10]
    ldr r9, [r1, r10]
    orr r4, r4, r5, lsl #8
    orr r8, r8, r9, lsl #8
    G_FOUR r4, r8, 0
    add r0, r0, r10
    add r1, r1, r10
    ldr r4, [r0, #3]
    ldr r8, [r1, #3]
    G_FOUR r4, r8, 0
    ldrh r4, [r0, #7]
    ldrh r8, [r1, #7]
    ldr r5, [r0, r10]
    ldr r9, [r1, r10]
    pkhbt r4, r4, r5, lsl #16
    pkhbt r8, r8, r9, lsl #16
    G_FOUR r4, r8, 0
    add r0, r0, r10
    add r1, r1, r10
    ldr r4, [r0, #2]
    ldr r8, [r1, #2]
    G_FOUR r4, r8, 0
    ldr r4, [r0, #5]
    ldr r8, [r1, #5]
    lsr r4, r4, #8
    lsr r8, r8, #8
    G_FOUR r4, r8, 0
    b.w pupil_m4_gemm_columns

    @ Doubled columns are pixels: a single row.
    G_PART eights_doubled
    tst r3, #8
    bne 43f
42: G_EIGHT
43: G_EIGHT
    subs r3, #16
    bhi 42b
    b.w pupil_m4_gemm_columns

    G_PART eights
44: tst r3, #8
    beq 41f
    ldm r0!, {r4, r5}
    ldm r1!, {r8, r9}
    G_FOUR r4, r8, 0
    G_FOUR r5, r9, 0
    subs r3, #8
    beq 45f
41: ldm r0!, {r4-r7}
    ldm r1!, {r8-r11}
    G_FOUR r4, r8, 0
    G_FOUR r5, r9, 0
    G_FOUR r6, r10, 0
    G_FOUR r7, r11, 0
    subs r3, #16
    bne 41b
45: ldr r12, [sp, #56]
    cmp r2, r12
    beq.w pupil_m4_gemm_columns
    ldrd r3, r12, [sp, #44]
    add r0, r0, r12
    add r1, r1, r12
    b 44b

    G_PART relu
    G_SPLIT
    G_DOUBLE
    b.w pupil_m4_gemm_fused
    G_PART doubled
    G_SPLIT
    .global pupil_m4_gemm_fused
    .thumb_func
    pupil_m4_gemm_fused:
    G_RELU smmlar, r2, r6
    G_RELU smmla, r3, r7
    G_RELU smmlar, r4, r8
    G_RELU smmla, r5, r9
    G_PACK
    G_STORE
    G_PART exact
    G_SPLIT
    G_EXACT
    ldr pc, [sp, #100]
    G_PART table
    ldr r12, [sp, #60]
    .irp a, r2, r3, r4, r5, r6, r7, r8, r9
    usat \\a, #8, \\a
    .endr
    .irp a, r2, r3, r4, r5, r6, r7, r8, r9
    ldrb \\a, [r12, \\a]
    .endr
    orr r2, r2, r3, lsl #8
    orr r6, r6, r7, lsl #8
    orr r2, r2, r4, lsl #16
    orr r6, r6, r8, lsl #16
    orr r2, r2, r5, lsl #24
    orr r6, r6, r9, lsl #24
    G_STORE
    G_PART general
    G_PACK
    G_STORE

    .purgem G_FOUR
    .purgem G_EIGHT
    .purgem G_RELU
    .purgem G_GENERAL
    .purgem G_DOUBLE
    .purgem G_EXACT
    .purgem G_SPLIT
    .purgem G_PACK
    .purgem G_STORE
    .purgem G_PART
    .text
    ",
    options(raw)
);
