// SPDX-License-Identifier: GPL-2.0
/*
 * Objects in the address spaces of programs.
 *
 * A mapping starts empty. A fault looks for the window that shows the page, asks
 * the card when there is none, and enters the page and its neighbours in the
 * window. Pages are entered read-only until the window counts as written, so that
 * the card need not write home what was only read.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include <drm/drm_drv.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_gem.h"
#include "augur_touch.h"
#include "augur_window.h"

/* Pages that one fault enters at most: a power of two. */
#define AUGUR_FAULT_PAGES	64

/* Device address of a page of the file. */
static u64 augur_fault_address(const struct augur_object *object, pgoff_t pgoff)
{
	return object->address +
	       ((u64)(pgoff - drm_vma_node_start(&object->base.vma_node)) << PAGE_SHIFT);
}

/**
 * struct augur_span - pages around a fault that a window shows
 * @start: First program address.
 * @end: Program address behind the last.
 * @pfn: Page frame of the first.
 */
struct augur_span {
	unsigned long start;
	unsigned long end;
	unsigned long pfn;
};

/* The pages to enter: in the window, in the mapping, and near the fault. */
static struct augur_span augur_fault_span(const struct augur_device *adev,
					  const struct vm_fault *vmf, u64 address,
					  const struct augur_window *window)
{
	unsigned long around = AUGUR_FAULT_PAGES * PAGE_SIZE;
	u64 before = address - window->place.address;
	u64 behind = window->place.bytes - before;
	unsigned long start = max(round_down(vmf->address, around), vmf->vma->vm_start);
	unsigned long page = vmf->address & PAGE_MASK;
	struct augur_span span;

	span.start = page - min_t(u64, page - start, before);
	span.end = page + min3((u64)(vmf->vma->vm_end - page), behind,
			       (u64)(round_down(page, around) + around - page));
	span.pfn = PHYS_PFN(adev->aperture_base + window->place.aperture_offset +
			    before - (page - span.start));
	return span;
}

/**
 * struct augur_entry - page table entries to be made
 * @mm: Whose.
 * @pfn: Page frame of the next.
 * @prot: Protection.
 * @writable: Entries that exist are made writable.
 */
struct augur_entry {
	struct mm_struct *mm;
	unsigned long pfn;
	pgprot_t prot;
	bool writable;
};

/*
 * An entry that exists shows the same frame: a window leaves all page tables before
 * the card publishes another in its place. More rights need no flush.
 */
static int augur_enter_page(pte_t *pte, unsigned long address, void *data)
{
	struct augur_entry *entry = data;
	pte_t old = ptep_get(pte);

	if (pte_none(old) || (entry->writable && !pte_write(old)))
		set_pte_at(entry->mm, address, pte,
			   pte_mkspecial(pfn_pte(entry->pfn, entry->prot)));
	entry->pfn++;
	return 0;
}

/* Enters the pages that a window shows. The window lock is held. */
static vm_fault_t augur_enter(struct augur_object *object, struct vm_fault *vmf,
			      u64 address, struct augur_window *window)
{
	struct augur_device *adev = object->context->adev;
	u64 object_offset = window->place.address - object->address;
	struct vm_area_struct *vma = vmf->vma;
	struct augur_entry entry = { .mm = vma->vm_mm, .prot = vma->vm_page_prot };
	struct augur_span span;

	/* The card promises that a window lies within one object. */
	if (window->place.address < object->address ||
	    object_offset + window->place.bytes > object->base.size)
		return VM_FAULT_SIGBUS;

	augur_window_entered(adev, window,
			     drm_vma_node_offset_addr(&object->base.vma_node) +
			     object_offset);
	if (vmf->flags & FAULT_FLAG_WRITE)
		window->dirty = true;
	if (window->dirty) {
		entry.prot = vm_get_page_prot(vma->vm_flags);
		entry.writable = vma->vm_flags & VM_WRITE;
	}
	span = augur_fault_span(adev, vmf, address, window);
	entry.pfn = span.pfn;
	/* A page that is entered already is not touched for the first time. */
	if (pte_none(vmf->orig_pte))
		augur_touch_report(adev, window,
				   span.pfn - PHYS_PFN(adev->aperture_base +
						       window->place.aperture_offset),
				   (span.end - span.start) >> PAGE_SHIFT,
				   vmf->flags & FAULT_FLAG_WRITE);
	if (apply_to_page_range(entry.mm, span.start, span.end - span.start,
				augur_enter_page, &entry))
		return VM_FAULT_OOM;
	return VM_FAULT_NOPAGE;
}

/* Waits with or without the lock of the memory map. */
static vm_fault_t augur_fault_wait(struct augur_object *object, struct vm_fault *vmf,
				   u64 address)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	struct file *file;
	int ret;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (fault_flag_allow_retry_first(vmf->flags) &&
	    !(vmf->flags & FAULT_FLAG_VMA_LOCK)) {
		struct augur_context *context = object->context;

		/* Without the lock only the file keeps the context. */
		file = get_file(vmf->vma->vm_file);
		mmap_read_unlock(vmf->vma->vm_mm);
		augur_window_wait(context, address, write, augur_fault_timeout());
		fput(file);
		return VM_FAULT_RETRY;
	}
	ret = augur_window_wait(object->context, address, write, augur_fault_timeout());
	if (ret == -EINTR)
		return VM_FAULT_NOPAGE;
	return ret ? VM_FAULT_SIGBUS : 0;
}

/*
 * Enters the pages around a fault when a window shows them. A card that is being
 * removed first lets nobody in here and then empties all page tables. Return: 0 when
 * there is no window.
 */
static vm_fault_t augur_fault_try(struct augur_object *object, struct vm_fault *vmf,
				  u64 address)
{
	struct augur_device *adev = object->context->adev;
	struct augur_window *window;
	vm_fault_t ret = 0;
	int index;

	if (!drm_dev_enter(&adev->drm, &index))
		return VM_FAULT_SIGBUS;
	mutex_lock(&adev->windows.lock);
	window = augur_window_table_find(&adev->windows.table, object->context->id,
					 address);
	if (augur_device_is_lost(adev))
		ret = VM_FAULT_SIGBUS;
	else if (window && !adev->windows.hidden)
		ret = augur_enter(object, vmf, address, window);
	mutex_unlock(&adev->windows.lock);
	drm_dev_exit(index);
	return ret;
}

static vm_fault_t augur_vm_fault(struct vm_fault *vmf)
{
	struct augur_object *object = to_augur_object(vmf->vma->vm_private_data);
	u64 address = augur_fault_address(object, vmf->pgoff);
	vm_fault_t ret;

	atomic64_inc(&object->context->adev->counters.page_faults);
	/* Keeps the allocation of a page table out of the window lock. */
	if (pmd_none(*vmf->pmd) &&
	    apply_to_page_range(vmf->vma->vm_mm, vmf->address & PAGE_MASK, PAGE_SIZE,
				NULL, NULL))
		return VM_FAULT_OOM;

	do {
		ret = augur_fault_try(object, vmf, address);
		if (!ret)
			ret = augur_fault_wait(object, vmf, address);
	} while (!ret);
	return ret;
}

/*
 * A write to a page that was entered read-only. It is made writable here rather than
 * by the caller: that happens without the window lock, and the same frame might
 * belong to another, clean window by then. Without a
 * window the page is leaving the page table: the access faults again.
 */
static vm_fault_t augur_vm_pfn_mkwrite(struct vm_fault *vmf)
{
	struct augur_object *object = to_augur_object(vmf->vma->vm_private_data);
	u64 address = augur_fault_address(object, vmf->pgoff);

	atomic64_inc(&object->context->adev->counters.page_faults);
	return augur_fault_try(object, vmf, address) ?: VM_FAULT_NOPAGE;
}

/* For debuggers, which cannot follow the mapping. */
static int augur_vm_access(struct vm_area_struct *vma, unsigned long program_address,
			   void *buffer, int bytes, int write)
{
	struct augur_object *object = to_augur_object(vma->vm_private_data);
	struct augur_device *adev = object->context->adev;
	unsigned long in_page = offset_in_page(program_address);
	u64 page = augur_fault_address(object, linear_page_index(vma, program_address));
	unsigned long end = jiffies + augur_fault_timeout();
	struct augur_window *window;
	int ret;

	bytes = min_t(unsigned long, bytes, PAGE_SIZE - in_page);
	do {
		ret = augur_window_wait(object->context, page, write,
					augur_fault_timeout());
		if (ret)
			return ret;
		mutex_lock(&adev->windows.lock);
		window = augur_window_table_find(&adev->windows.table,
						 object->context->id, page);
		if (augur_device_is_lost(adev)) {
			ret = -EIO;
		} else if (window && !adev->windows.hidden) {
			void *at = adev->aperture + window->place.aperture_offset +
				   (page - window->place.address) + in_page;

			if (write) {
				window->dirty = true;
				memcpy(at, buffer, bytes);
			} else {
				memcpy(buffer, at, bytes);
			}
			ret = bytes;
		}
		mutex_unlock(&adev->windows.lock);
	} while (!ret && time_before(jiffies, end));
	return ret ?: -EIO;
}

const struct vm_operations_struct augur_vm_ops = {
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
	.fault = augur_vm_fault,
	.pfn_mkwrite = augur_vm_pfn_mkwrite,
	.access = augur_vm_access,
};
