//! Parts of the kernel's assembly: four taps expanded, requantization of a block, and its stores.
//!
//! The registers are those of the inner loop: r2–r5 are column 0's sums, r6–r9 column 1's. Flags are
//! set where nobody reads them: those instructions are 16 bits long.

/// Macros of the assembly in `kernel.rs`, which ends their life. Every part has a section of its own:
/// what nobody refers to is not linked.
macro_rules! gemm_macros {
    () => {
        "
    .macro G_FOUR a, b, double
    sxtb16 r12, \\a, ror #8
    sxtb16 lr, \\b, ror #8
    sxtb16 \\a, \\a
    sxtb16 \\b, \\b
    .if \\double
    sadd16 r12, r12, r12
    sadd16 lr, lr, lr
    sadd16 \\a, \\a, \\a
    sadd16 \\b, \\b, \\b
    .endif
    stm r2!, {\\a, \\b, r12, lr}
    .endm
    .macro G_EIGHT
    ldm r0!, {r4, r5}
    ldm r1!, {r8, r9}
    G_FOUR r4, r8, 1
    G_FOUR r5, r9, 1
    .endm
    .macro G_RELU op, a, b
    ldm r1!, {r10-r12}
    \\op \\a, \\a, r10, r12
    \\op \\b, \\b, r10, r12
    asr \\a, \\a, r11
    asr \\b, \\b, r11
    .endm
    .macro G_GENERAL a, b
    ldm r1!, {r10-r12}
    smmlar lr, \\a, r10, r12
    add lr, lr, \\a, asr #31
    asr \\a, lr, r11
    smmlar lr, \\b, r10, r12
    add lr, lr, \\b, asr #31
    asr \\b, lr, r11
    .endm
    .macro G_DOUBLE
    lsls r2, r2, #1
    lsls r4, r4, #1
    lsls r6, r6, #1
    lsl r8, r8, #1
    .endm
    .macro G_EXACT
    asrs r3, r3, #7
    asrs r5, r5, #7
    asrs r7, r7, #7
    asr r9, r9, #7
    G_DOUBLE
    G_GENERAL r2, r6
    G_GENERAL r3, r7
    G_GENERAL r4, r8
    G_GENERAL r5, r9
    .endm
    .macro G_SPLIT
    subs r3, r3, r2
    subs r5, r5, r4
    subs r7, r7, r6
    sub r9, r9, r8
    .endm
    .macro G_PACK
    pkhbt r2, r2, r4, lsl #16
    pkhbt r3, r3, r5, lsl #16
    pkhbt r6, r6, r8, lsl #16
    pkhbt r7, r7, r9, lsl #16
    usat16 r2, #8, r2
    usat16 r3, #8, r3
    usat16 r6, #8, r6
    usat16 r7, #8, r7
    orr r2, r2, r3, lsl #8
    orr r6, r6, r7, lsl #8
    eor r2, r2, #0x80808080
    eor r6, r6, #0x80808080
    .endm
    .macro G_STORE
    ldm sp, {r0, r3-r5}
    str r2, [r4], #4
    str r6, [r5], #4
    strd r4, r5, [sp, #8]
    tst r11, r3, lsl #1
    beq.w pupil_m4_gemm_block
    ldr pc, [sp, #108]
    .endm
    .macro G_PART name
    .section .text.pupil_m4_gemm_\\name, \"ax\", %progbits
    .global pupil_m4_gemm_\\name
    .thumb_func
    pupil_m4_gemm_\\name:
    .endm
"
    };
}
