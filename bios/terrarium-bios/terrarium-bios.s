# Terrarium's own BIOS: as much firmware as the 16-bit entry point of Linux and multiboot kernels need, in one 64 KiB segment.
#
# It is mapped at F000:0000 and ends at 4 GiB. The machine fills in the boot record and the address map (README.md).
# Services follow Ralf Brown's Interrupt List and IBM's PS/2 and PC BIOS Interface Technical Reference; a service that
# is not here answers as that reference says an absent one does: carry set, AH = 0x86, or nothing at all.
#
# Deliberately missing: disks, a display, keyboard buffering. Text goes to the debug console, port 0xe9.

        .code16
        .text
base:

        .set    BIOS_ADDRESS, 0xf0000
        .set    FLAT_CODE, 0x10
        .set    FLAT_DATA, 0x18
        .set    BDA_SEGMENT, 0x40
        .set    EBDA_SEGMENT, 0x9fc0
        .set    BIOS_SEGMENT, 0xf000
        .set    STACK_TOP, 0x7c00
        .set    DEBUG_CONSOLE, 0xe9
        .set    POST_CODE, 0x80
        .set    PIC_MASTER, 0x20
        .set    PIC_SLAVE, 0xa0
        .set    END_OF_INTERRUPT, 0x20
        .set    SMAP, 0x534d4150
        .set    CARRY, 0x01
        .set    ZERO, 0x40

# --- Data the machine fills in ---------------------------------------------------------------------------------------

        .org    0x0010
record: .ascii  "TBR1"
record_ip:      .word 0
record_cs:      .word 0
record_ds:      .word 0
record_sp:      .word 0
extended_kib:   .long 0                 # RAM above 1 MiB, in KiB
record_eip:     .long 0
record_eax:     .long 0
record_ebx:     .long 0

        .org    0x0040
map_count:      .word 0
map_ranges:     .fill 16 * 20, 1, 0

        .org    0x0190
smbios_anchor:  .fill 32, 1, 0          # SMBIOS entry point

# --- Returning from a service: the caller's flags lie on the stack behind IP and CS -----------------------------------

        .macro  return_flags set, clear
        pushw   %bp
        movw    %sp, %bp
        andw    $~\clear, 6(%bp)
        orw     $\set, 6(%bp)
        popw    %bp
        iretw
        .endm

        .org    0x0200
return_success:
        return_flags 0, CARRY
return_failure:
        return_flags CARRY, 0
unsupported:
        movb    $0x86, %ah
        jmp     return_failure

# --- Power-on self-test ----------------------------------------------------------------------------------------------

post:
        cli
        cld
        movb    $0x01, %al
        outb    %al, $POST_CODE
        xorw    %ax, %ax
        movw    %ax, %ss
        movw    $STACK_TOP, %sp
        movw    %ax, %es
        xorw    %di, %di

        # Every vector first answers with a bare IRET; then the table names the ones that do something.
        movw    $256, %cx
1:      movw    $(ignore - base), %ax
        stosw
        movw    $BIOS_SEGMENT, %ax
        stosw
        loop    1b
        movw    $(vectors - base), %si
2:      movw    %cs:(%si), %di
        cmpw    $0xffff, %di
        je      3f
        movw    %cs:2(%si), %ax
        shlw    $2, %di
        stosw
        addw    $4, %si
        jmp     2b

3:      # BIOS data area.
        movw    $BDA_SEGMENT, %ax
        movw    %ax, %es
        xorw    %di, %di
        xorw    %ax, %ax
        movw    $128, %cx
        rep stosw
        movw    $0x3f8, %es:0x00                # COM1, COM2
        movw    $0x2f8, %es:0x02
        movw    $EBDA_SEGMENT, %es:0x0e
        movw    $0x0404, %es:0x10               # equipment: two serial ports, a pointing device, no disk
        movw    $639, %es:0x13                  # conventional memory, in KiB
        movw    $0x1e, %es:0x1a                 # keyboard buffer: empty
        movw    $0x1e, %es:0x1c
        movw    $0x1e, %es:0x80
        movw    $0x3e, %es:0x82
        movw    $EBDA_SEGMENT, %ax
        movw    %ax, %es
        movb    $1, %es:0x00                    # length of the extended area, in KiB

        # 8259s: interrupts 0x08 and 0x70, only timer and cascade open.
        movb    $0x11, %al
        outb    %al, $PIC_MASTER
        outb    %al, $PIC_SLAVE
        movb    $0x08, %al
        outb    %al, $PIC_MASTER + 1
        movb    $0x70, %al
        outb    %al, $PIC_SLAVE + 1
        movb    $0x04, %al
        outb    %al, $PIC_MASTER + 1
        movb    $0x02, %al
        outb    %al, $PIC_SLAVE + 1
        movb    $0x01, %al
        outb    %al, $PIC_MASTER + 1
        outb    %al, $PIC_SLAVE + 1
        movb    $0xfa, %al
        outb    %al, $PIC_MASTER + 1
        movb    $0xff, %al
        outb    %al, $PIC_SLAVE + 1

        # 8254 counter 0: mode 3, 65536 ticks, 18.2 Hz.
        movb    $0x36, %al
        outb    %al, $0x43
        xorb    %al, %al
        outb    %al, $0x40
        outb    %al, $0x40

        # Start what the boot record names, as a boot loader would: interrupts off, all data segments equal.
        movb    $0x02, %al
        outb    %al, $POST_CODE
        cmpl    $0, %cs:(record_eip - base)
        jne     enter_protected
        movw    %cs:(record_cs - base), %ax
        orw     %ax, %ax
        jz      no_boot
        movw    %cs:(record_ds - base), %bx
        movw    %bx, %ss
        movw    %cs:(record_sp - base), %sp
        pushw   %ax
        pushw   %cs:(record_ip - base)
        movw    %bx, %ds
        movw    %bx, %es
        movw    %bx, %fs
        movw    %bx, %gs
        lretw

# A program of 32 bits: protected mode without paging, flat segments, all registers zero but those of the record.
enter_protected:
        lgdtl   %cs:(gdt_pointer - base)
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $FLAT_CODE, $(BIOS_ADDRESS + in_protected - base)
        .code32
in_protected:
        movl    $FLAT_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %eax, %ss
        movl    $STACK_TOP, %esp
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        movl    (BIOS_ADDRESS + record_eax - base), %eax
        movl    (BIOS_ADDRESS + record_ebx - base), %ebx
        jmpl    *(BIOS_ADDRESS + record_eip - base)
        .code16

        .balign 8
gdt:    .quad   0, 0
        .quad   0x00cf9b000000ffff              # FLAT_CODE
        .quad   0x00cf93000000ffff              # FLAT_DATA
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   BIOS_ADDRESS + gdt - base

no_boot:
        movw    $(text_no_boot - base), %si
        jmp     stop
exception:
        movw    $(text_exception - base), %si

# Writes the zero-terminated text at CS:SI to the debug console and halts for good.
stop:
        cli
        cld
1:      lodsb   %cs:(%si), %al
        orb     %al, %al
        jz      2f
        outb    %al, $DEBUG_CONSOLE
        jmp     1b
2:      hlt
        jmp     2b

text_no_boot:   .asciz "BIOS: nothing to boot\n"
text_exception: .asciz "BIOS: unexpected exception in real mode\n"

# --- Interrupts ------------------------------------------------------------------------------------------------------

vectors:
        .macro  vector number, handler
        .word   \number, \handler - base
        .endm
        vector  0x00, exception                 # divide error
        vector  0x06, exception                 # invalid opcode
        vector  0x08, irq_timer
        vector  0x09, irq_keyboard
        vector  0x0b, irq_master
        vector  0x0c, irq_master
        vector  0x0d, irq_master
        vector  0x0e, irq_master
        vector  0x0f, irq_master
        vector  0x10, video
        vector  0x11, equipment
        vector  0x12, memory_size
        vector  0x13, disk
        vector  0x15, system
        vector  0x16, keyboard
        vector  0x18, no_boot
        vector  0x19, no_boot
        vector  0x1a, time
        vector  0x70, irq_slave
        vector  0x71, irq_slave
        vector  0x72, irq_slave
        vector  0x73, irq_slave
        vector  0x74, irq_slave
        vector  0x75, irq_slave
        vector  0x76, irq_slave
        vector  0x77, irq_slave
        .word   0xffff

ignore:
        iretw

# 18.2 times a second: the tick count at 0040:006C, 24 hours long.
irq_timer:
        pushl   %eax
        pushw   %ds
        movw    $BDA_SEGMENT, %ax
        movw    %ax, %ds
        movl    0x6c, %eax
        incl    %eax
        cmpl    $0x1800b0, %eax
        jb      1f
        xorl    %eax, %eax
        movb    $1, 0x70                        # midnight has passed
1:      movl    %eax, 0x6c
        int     $0x1c
        movb    $END_OF_INTERRUPT, %al
        outb    %al, $PIC_MASTER
        popw    %ds
        popl    %eax
        iretw

irq_keyboard:
        pushw   %ax
        inb     $0x60, %al
        jmp     end_master
irq_slave:
        pushw   %ax
        movb    $END_OF_INTERRUPT, %al
        outb    %al, $PIC_SLAVE
        jmp     end_master
irq_master:
        pushw   %ax
end_master:
        movb    $END_OF_INTERRUPT, %al
        outb    %al, $PIC_MASTER
        popw    %ax
        iretw

# INT 10h: teletype output; there is no display adapter to report.
video:
        cmpb    $0x0e, %ah
        jne     1f
        outb    %al, $DEBUG_CONSOLE
1:      iretw

# INT 11h: equipment word.
equipment:
        pushw   %ds
        movw    $BDA_SEGMENT, %ax
        movw    %ax, %ds
        movw    0x10, %ax
        popw    %ds
        iretw

# INT 12h: conventional memory in KiB.
memory_size:
        pushw   %ds
        movw    $BDA_SEGMENT, %ax
        movw    %ax, %ds
        movw    0x13, %ax
        popw    %ds
        iretw

# INT 13h: no drive answers.
disk:
        movb    $0x01, %ah
        jmp     return_failure

# INT 16h: no key is ever waiting; no shift key is down.
keyboard:
        cmpb    $0x01, %ah
        je      1f
        cmpb    $0x11, %ah
        je      1f
        xorw    %ax, %ax
        iretw
1:      return_flags ZERO, 0

# --- INT 15h ---------------------------------------------------------------------------------------------------------

system:
        cmpl    $0xe820, %eax
        je      address_map
        cmpw    $0xe801, %ax
        je      memory_e801
        cmpw    $0xec00, %ax                    # the kernel tells which mode it will use
        je      done
        cmpb    $0x88, %ah
        je      memory_88
        cmpb    $0x24, %ah
        je      a20
        cmpb    $0xc0, %ah
        je      configuration
        cmpb    $0xc1, %ah
        je      ebda
        jmp     unsupported
done:
        movb    $0, %ah
        jmp     return_success

# AX = E820h: the address map, one range a call (ACPI specification, 15.1).
address_map:
        cmpl    $SMAP, %edx
        jne     unsupported
        cmpl    $20, %ecx
        jb      unsupported
        movzwl  %cs:(map_count - base), %eax
        cmpl    %eax, %ebx
        jae     unsupported
        pushw   %si
        pushw   %di
        pushw   %ds
        imulw   $20, %bx, %si
        addw    $(map_ranges - base), %si
        pushw   %cs
        popw    %ds
        movw    $10, %cx
        cld
        rep movsw
        popw    %ds
        popw    %di
        popw    %si
        incl    %ebx
        cmpl    %eax, %ebx
        jb      1f
        xorl    %ebx, %ebx                      # that was the last one
1:      movl    $20, %ecx
        movl    $SMAP, %eax
        jmp     return_success

# AX = E801h: KiB from 1 to 16 MiB in AX and CX, 64 KiB units above in BX and DX.
memory_e801:
        movl    %cs:(extended_kib - base), %eax
        xorw    %bx, %bx
        cmpl    $15 * 1024, %eax
        jbe     1f
        subl    $15 * 1024, %eax
        shrl    $6, %eax
        movw    %ax, %bx
        movw    $15 * 1024, %ax
1:      movw    %ax, %cx
        movw    %bx, %dx
        jmp     return_success

# AH = 88h: KiB above 1 MiB, as many as a word holds.
memory_88:
        pushl   %ebx
        movl    %cs:(extended_kib - base), %ebx
        cmpl    $0xfc00, %ebx
        jbe     1f
        movl    $0xfc00, %ebx
1:      movw    %bx, %ax
        popl    %ebx
        jmp     return_success

# AH = 24h: the A20 gate, by system control port A.
a20:
        cmpb    $0x03, %al
        ja      unsupported
        je      a20_support
        cmpb    $0x02, %al
        je      a20_status
        pushw   %ax
        movb    %al, %ah
        shlb    $1, %ah
        inb     $0x92, %al
        andb    $0xfc, %al                      # bit 1 is the gate, bit 0 would reset
        orb     %ah, %al
        outb    %al, $0x92
        popw    %ax
        jmp     done
a20_status:
        inb     $0x92, %al
        shrb    $1, %al
        andb    $1, %al
        jmp     done
a20_support:
        movw    $0x0002, %bx                    # port 0x92
        jmp     done

# AH = C0h: where the configuration table is.
configuration:
        movw    $BIOS_SEGMENT, %bx
        movw    %bx, %es
        movw    $(configuration_table - base), %bx
        jmp     done

# AH = C1h: segment of the extended BIOS data area.
ebda:
        movw    $EBDA_SEGMENT, %bx
        movw    %bx, %es
        jmp     return_success

# --- INT 1Ah ---------------------------------------------------------------------------------------------------------

time:
        cmpb    $0x00, %ah
        je      ticks
        cmpb    $0x02, %ah
        je      clock_time
        cmpb    $0x04, %ah
        je      clock_date
        jmp     return_failure

# AH = 00h: ticks since midnight in CX:DX, AL tells whether midnight passed.
ticks:
        pushw   %ds
        movw    $BDA_SEGMENT, %ax
        movw    %ax, %ds
        movw    0x6e, %cx
        movw    0x6c, %dx
        movw    0x70, %ax
        movb    $0, 0x70
        movb    $0, %ah
        popw    %ds
        iretw

# AH = 02h: hours, minutes, seconds as BCD in CH, CL, DH.
clock_time:
        movb    $0x04, %al
        call    read_cmos
        movb    %al, %ch
        movb    $0x02, %al
        call    read_cmos
        movb    %al, %cl
        movb    $0x00, %al
        call    read_cmos
        movb    %al, %dh
        movb    $0, %dl
        jmp     done

# AH = 04h: century, year, month, day as BCD in CH, CL, DH, DL.
clock_date:
        movb    $0x32, %al
        call    read_cmos
        movb    %al, %ch
        movb    $0x09, %al
        call    read_cmos
        movb    %al, %cl
        movb    $0x08, %al
        call    read_cmos
        movb    %al, %dh
        movb    $0x07, %al
        call    read_cmos
        movb    %al, %dl
        jmp     done

# Reads the clock register AL into AL.
read_cmos:
        outb    %al, $0x70
        inb     $0x71, %al
        ret

# --- Fixed places of the PC's BIOS -----------------------------------------------------------------------------------

        .org    0xe05b
        jmp     post

        .org    0xe6f5
configuration_table:
        .word   8                               # bytes that follow
        .byte   0xfc, 0x00, 0x00                # model AT, submodel, revision
        .byte   0x74                            # second 8259, clock, keyboard intercept, extended data area
        .byte   0x40, 0x00, 0x00, 0x00

        .org    0xfff0
        ljmpw   $BIOS_SEGMENT, $0xe05b
        .ascii  "11/21/26"
        .org    0xfffe
        .byte   0xfc                            # model AT
        .byte   0x00
